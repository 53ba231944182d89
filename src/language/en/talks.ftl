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
closings-caption = Decisions, the latest first. Reasons and errors are in English, as stored.
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
