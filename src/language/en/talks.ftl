# The pages of talks, the queue, closings and feeders.

# What all lists have.
list-state = Show
list-channel = Channel
list-channel-all = All
list-channel-none = without a channel
list-too-slow = This takes too long. Choose another filter or a smaller part.
list-is-shorter = This list has no such page any more. To its first page
list-ends-here = Only the first { $rows } rows are shown. A filter or a search finds the others.
list-talk = Talk { $id }
list-contact = contact { $id }
list-user = user { $id }
list-lead = lead { $id }
list-since = since
list-column-talk = Talk
list-column-client = Client
list-column-waiting = Waits
list-column-responsible = Whose client
list-column-state = State
list-column-due = Due
list-column-next = Next attempt
list-column-failed = Failed
list-column-attempts = Failed attempts
list-column-error = Last error
list-column-outcome = Outcome
list-column-day = Day
list-column-why = Why
list-column-times = Times
list-column-feeder = Feeder
list-column-last-run = Last run
list-column-queued = Queued then
list-column-queued-in-all = In all
query-no-day = `{ $key }` cannot be `{ $value }`. A day is written `2027-01-31`.
query-no-number = `{ $key }` cannot be `{ $value }`. It is the number of a talk.
query-no-page = `{ $key }` cannot be `{ $value }`. Pages go from 1 to { $most }.

# The list of talks.
talks-waiting =
    { $number ->
        [one] { $number } client waits for an answer, { $lasting }.
       *[other] { $number } clients wait for an answer, the longest { $lasting }.
    }
talks-nobody-waits = Nobody waits for an answer.
talks-open = Open
talks-filter-waiting = Waiting
talks-missed = Missed
talks-failed = Not fetched
talks-gone = Gone
talks-all = All
talks-search = Number, address or name
talks-search-button = Search
talks-search-end = Clear the search
talks-search-all = Search all talks
talks-search-of-all = Among all talks only numbers and the names of clients are searched. Among open ones also channels, leads and responsible users.
talks-no-names = The names of clients are not stored. `directory.contacts = true` stores them.
talks-none = No talk is in this list.
talks-none-found = Nothing is found for “{ $text }” here.
talks-caption-waiting = Talks with their clients, whoever waits longest first
talks-caption-latest = Talks with their clients, the latest first
list-waits-not = no
list-work-time = { $span } of working time
list-responsible-unknown = not known
list-lead-none = no lead
list-open-chat = Open the chat
list-state-missed = missed
list-state-unread = unread
list-state-read = read
list-state-closed = closed
list-state-gone = gone: the API no longer knows it
list-state-denied = denied to this token
list-state-not-mirrored = not mirrored
list-state-failed = could not be fetched
list-state-queued = in the queue

# The list of the queue.
queue-what = Talks that wait to be fetched from the API.
queue-due = Due
queue-later = Later
queue-failed = Failed
queue-due-caption = What may be fetched now, the most urgent first
queue-later-caption = What is retried or scheduled for later, the soonest first
queue-failed-caption = What failed in all its attempts, the latest first
queue-none = No row of the queue is in this list.
queue-repair = These are not fetched again by themselves. Remove the cause, then run `talkmirror queue retry` for all of them, or `talkmirror queue retry ID` for one. `talkmirror queue drop ID` gives one up.
queue-queued = queued
queue-error-none = none
queue-fetch-again = To fetch it again

# The list of closings.
closings-what = Each decision to close a talk, and what came of it.
closings-caption = Decisions, the latest first. Errors are in English, as stored.
closings-none = No decision is in this list.
closings-all = All
closings-under-way = under way
closings-all-days = All
closings-today = today
closings-dry-run = dry run
closings-requests =
    { $number ->
        [one] { $number } request
       *[other] { $number } requests
    }
closings-decided = decided
closings-request-left = requested
closings-verified = seen closed

# The list of feeders.
feeders-what = What finds talks by itself and queues them.
feeders-caption = Each feeder by its name in the configuration
feeders-none = No feeder has run yet.
feeders-on = on
feeders-off = off
feeders-error = error
feeders-never = never
feeders-purpose-refresh = fetches mirrored talks again
feeders-purpose-listing = reads the list of talks
feeders-purpose-events = reads new events of the account
feeders-purpose-past-events = reads the events of the past
feeders-purpose-directory = reads names; queues nothing
feeders-purpose-webhook = receives webhooks of the account
feeders-purpose-backfill = walks the ids of the account
feeders-names = Stored names
feeders-names-caption = Rows that the directory has stored
feeders-names-users = Users
feeders-names-pipelines = Pipelines
feeders-names-leads = Leads
feeders-names-contacts = Contacts
# One talk

# Whether it is stale.
ago-of-work = { $ago } ({ $work } of work)
verdict-stale = stale: missed { $missed }, unchanged for { $quiet }
kept-gone = the API reports that it does not exist
kept-denied = the API refuses it to this token
kept-closed = already closed
kept-status = its status is { $status }
kept-not-missed = not missed
kept-missed-in-the-future = missed in the future, by this machine's clock
kept-missed-lately = missed { $missed }: not over { $wanted } yet
kept-changed-in-the-future = changed in the future, by this machine's clock
kept-changed-lately = changed { $quiet } ago: not over { $wanted } yet
kept-without-origin = it has no origin
kept-origin = its origin, { $origin }, is excluded
exempt-by = exempt by { $row }
perhaps-exempt-by-lead = its lead is not known, so it may be exempt by { $row }
perhaps-exempt-by-contact = its contact is not known, so it may be exempt by { $row }
exemption = row { $id } of close_exemptions ({ $target })
exemption-until = row { $id } of close_exemptions ({ $target }, until { $until } UTC)
exemption-reason = { $row }: { $reason }
target-talk = talk { $id }
target-contact = contact { $id }
target-chat = chat { $id }
target-user = user { $id }
target-pipeline = pipeline { $id }
held-back-accepted = accepted: the next fetch shows whether it is closed
held-back-requested = requested: the next fetch shows what became of it
held-back-refused = refused less than a day ago
held-back-failed = failed less than a day ago
held-back-recorded = recorded already: it would be closed if auto_close.mode were live

# Its state.
talk-open = open
talk-closed = closed
talk-seen-closed = seen closed { $ago }
talk-missed = missed { $ago }
talk-read = read
talk-not-read = not read
talk-status = status { $status }
talk-gone = gone: the API has reported since { $ago } that it does not exist
talk-denied = denied: the API refuses it to this token since { $ago }
talk-does-not-exist = does not exist, as the API reported { $time } ({ $ago })
talk-not-mirrored = not mirrored

# Its row in the queue.
talk-not-queued = not queued
talk-waits = waits { $lasting } (reason { $reason }, priority { $priority })
talk-attempts-failed = { $failed } of { $most } attempts failed
talk-last-error = the last: { $error }

# What happens to it next.
next-refresh = a refresh, { $in }
next-refresh-or-sooner = a refresh, { $in }, or sooner if it has probably changed
next-refresh-once-running = a refresh, once a daemon runs
next-nothing = nothing is planned; `talkmirror enqueue { $id }` queues it
next-failed = nothing: it failed { $ago }; `talkmirror queue retry { $id }` retries it
next-no-daemon = it waits for a daemon: none runs; `talkmirror run` or `talkmirror sync` fetches it
next-no-daemon-yet = it waits for a daemon: none runs; `talkmirror run` or `talkmirror sync` fetches it, not before { $time } ({ $in })
next-paused = everything pauses: { $detail }; the next probe is { $in }
next-fetched-at = fetched { $in } ({ $time })
next-first = fetched next
next-in-turn = fetched in about { $span }: { $number } come before it

# Whether and when auto-close closes it.
closing-only-mirrored = only mirrored talks are considered
closing-kept = kept: { $verdict }
closing-off = { $verdict }; auto_close.mode is off: it is not closed
closing-stopped = { $verdict }; the last sweep was stopped by auto_close.max_share: see `talkmirror status`
closing-obstacle = { $verdict }; { $obstacle }: nothing is closed
closing-held = { $verdict }; { $held }
closing-at-sweep = { $verdict }; it is closed at a sweep, the next { $in }, if a fetch just before shows the same
closing-recorded-at-sweep = { $verdict }; it is recorded, not closed, at a sweep, the next { $in }, if a fetch just before shows the same
closing-once-running = { $verdict }; it is closed once a daemon runs, or by `talkmirror close { $id }`
closing-recorded-once-running = { $verdict }; it is recorded, not closed, once a daemon runs, or by `talkmirror close { $id }`

# Its timeline, as in the view talk_timeline.
event-opened = opened
event-trimmed = what was before is no longer kept
event-trimmed-closed = what was before is no longer kept; closed by then
event-missed = missed: nobody answered in time
event-answered = answered
event-answered-by = answered by { $user }
event-no-longer-missed = no longer missed: answered
event-read = read
event-unread = unread: the client wrote
event-rated = rated { $rate } by the client
event-closed-by-talkmirror = closed by talkmirror
event-closed-by = closed by { $user }
event-closed-in-the-account = closed in the account
event-reopened = opened again
event-changed = changed, otherwise than in the above
event-gone = gone: the API no longer knows it
event-denied = denied: the API refuses it to this token
event-would-close = talkmirror would close it (dry-run): { $reason }
event-not-closed = talkmirror did not close it: { $reason }
event-refused = talkmirror was refused to close it: { $reason }
event-not-closable = talkmirror could not close it: { $reason }
event-decided = talkmirror decided to close it: { $reason }
user-without-name = user { $id }

# What of it is not shown.
states-removed =
    { $number ->
        [one] 1 earlier state, up to { $time }, was removed ([retention])
       *[other] { $number } earlier states, up to { $time }, were removed ([retention])
    }
states-earlier =
    { $number ->
        [one] 1 earlier state is not shown: `{ $sql }`
       *[other] { $number } earlier states are not shown: `{ $sql }`
    }
events-earlier =
    { $number ->
        [one] 1 earlier entry is not shown: `{ $sql }`
       *[other] { $number } earlier entries are not shown: `{ $sql }`
    }

# Its page.
talk-title = Talk { $id }
talk-open-in = Open in { $vendor }
talk-id-expected = There is no talk `{ $found }`: the id of a talk is a whole number above 0.
talk-none = none
talk-what-next = What happens next
talk-what-next-caption = When it is fetched, and whether auto-close closes it
talk-next = Next
talk-queue = Queue
talk-closing = Auto-close
talk-exempt = Exempt
talk-about = About this talk
talk-about-caption = As last fetched. Names are those of the directory.
talk-contact = Contact
talk-lead = Lead
talk-stage = Stage
talk-responsible = Responsible user
talk-customer = Customer
talk-channel = Channel
talk-chat = Chat
talk-rating = Rating
talk-began = Began
talk-updated = Updated
talk-fetched = Fetched
talk-first-fetched = first
talk-odd = Odd fields
talk-odd-fields = { $fields }: of another shape than the API documents, stored as NULL
talk-timeline = Timeline
talk-timeline-note = Oldest first. “Seen by a fetch”: it happened at this time at the latest.
talk-timeline-empty = Nothing is known of its past.
talk-seen-by-fetch = seen by a fetch
talk-closings = Decisions to close it
talk-closings-caption = Each decision with its reason and what came of it, oldest first.
talk-closing-decided = Decided
talk-closing-outcome = Outcome
talk-closing-why = Why
talk-closing-request = Last request
talk-closing-verified = seen closed
talk-versions = States it was seen in
talk-versions-caption = Each state from when a fetch first showed it, oldest first.
talk-version-from = From
talk-version-to = To
talk-version-state = State
talk-version-missed = Missed
talk-version-status = Status
talk-payload = The JSON as the API sent it
talk-payload-cut = Only the first { $characters } characters are shown. All of it:
talk-of-contact = all talks of this contact
talk-too-long = This talk has so long a story that it cannot be shown here in time. `talkmirror why { $id }` prints it.
