# The pages: what all of them have around their content.
sections = Pages
section-overview = Overview
section-talks = Talks
section-queue = Queue
section-closings = Closings
section-feeders = Feeders
skip-to-content = Skip to the content
as-of = As of { $time }.
footer-refreshes = This page refreshes itself every { $seconds } s.
footer-all-utc = Days and times are UTC.
footer-zone = Days are those of { $zone }, times are UTC.
footer-programs = For programs:
footer-metrics = metrics
footer-readiness = readiness
footer-health = health
title-not-reached = Not reached
not-reached-since = The daemon has not been reached since { $time }. What is below was true then.

pages = Pages of this list
page-number = Page { $page }
page-before = Previous page
page-after = Next page

not-found = Not found
not-found-page = There is no page at this address.
bad-request = This address cannot be read
query-takes-none = `{ $key }` is unknown here. This page takes no keys.
query-unknown-key = `{ $key }` is unknown here. This page knows { $known }.
query-bad-value = `{ $key }` is there twice or is too long.
query-unknown-value = `{ $key }` cannot be `{ $value }`. It can be { $known }.

# The front page: its sentence.
front-title-works = Works
front-title-begins = Begins
front-title-attention = Needs attention
front-title-down = Not working
front-state-paused = No. Everything pauses: { $what }.
front-state-obstacle = No. { $what }.
front-state-attention = Yes, but { $what }.
front-state-begins = It has started, and waits for the API's first answer.
front-state-works = Yes, it works.
front-state-works-empty = Yes, it works. No talk is mirrored yet.
front-state-works-incomplete = Yes, it works. Not all talks are mirrored yet.
front-state-unreadable = No. The database cannot be read: { $why }
front-answered = The API last answered { $time }.
front-answered-never = The API has not answered yet.
front-closes-off = Auto-close is off.
front-closes-dry-run = Auto-close is a dry run: it decides, and closes nothing.
front-closes-live = Auto-close is live.
front-to-do = What there is to do
front-what-to-do = What to do:

# Its figures.
front-now = Now
front-tile-waiting = Wait for an answer
front-tile-missed = Missed
front-tile-open = Open talks
front-tile-due = Queue: due now
front-tile-failed = Queue: failed
front-tile-closed = Auto-closed today
front-tile-would-close = Auto-close today
front-longest = the longest for { $span }
front-fetched-within = 95 % fetched within { $span }
front-auto-close-off = off
front-auto-close-dry-run = would be closed (dry run)

# Its charts.
front-course = Over time
front-course-incomplete = Until all talks are mirrored, these counts are too low: { $how }.
front-range = Range
front-range-hours = 24 hours
front-range-week = 7 days
front-range-month = 30 days
front-range-quarter = 90 days
front-channel = Channel
front-channel-all = all
front-no-such-channel = No mirrored talk has the channel `{ $channel }`.
front-today = today
front-this-hour = this hour
front-so-far = (so far)
front-last-minute = last minute
front-chart-now = { $number } now
front-chart-so-far = { $number } { $when }
front-chart-open = Open talks
front-chart-missed = Missed talks
front-chart-closed = Closed talks
front-chart-requests = Requests a minute
front-chart-requests-now = { $number } last minute
front-chart-open-text = Open talks, last { $range }: { $now } now; { $extremes }.
front-chart-missed-text = Talks missed, last { $range }: { $now } so far in the last, { $sum } in all; { $extremes }.
front-chart-closed-text = Talks closed, last { $range }: { $now } so far in the last, { $sum } in all; { $extremes }.
front-chart-requests-text = Requests in each of the last { $minutes } minutes: { $last } in the last whole one, { $mean } on average, at most { $most }.
front-chart-requests-none = No whole minute has been counted yet.
front-extreme = { $number } ({ $time })
front-extremes = at least { $least }, at most { $most }
front-figures = { $range } in figures
front-figures-by-day = Talks by day, as the mirror knows them now.
front-figures-by-hour = Talks by hour (UTC), as the mirror knows them now.
front-figures-how = A talk counts as closed at its event, else when the account last changed it before the mirror saw it closed. So a talk that was closed long ago and is mirrored today does not count as closed today.
front-column-day = Day
front-column-hour = Hour
front-column-open-at-end = Open at its end
front-column-missed = Missed
front-column-closed = Closed

# Its folded details. Words that several of them use.
front-none = none
front-none-yet = none yet
front-nothing-yet = nothing yet
front-never = never
front-off = off
front-error = Error
front-and-more = … and { $number } more

front-queue-caption = Talks that wait to be fetched
front-queue-line = { $due } due, { $later } later, { $failed } failed
front-queue-due = Due now
front-queue-urgent = Of these asked for or hinted at
front-queue-later = Due later
front-queue-failed = Failed
front-after-attempts = after repeated attempts
front-the-oldest = the oldest { $time }
front-the-next = the next { $time }

front-auto-close = Auto-close
front-auto-close-caption = What is done about talks that were missed
front-auto-close-mode = Mode
front-dry-run-how = dry run: it decides, and closes nothing
front-closes-talks = talks { $rules }
front-last-sweep = Last sweep
front-sweep-found = { $stale } stale, { $queued } queued to be { $aim }
front-decisions-today = Decisions today
front-under-way = Under way
front-exempt-talks = Exempt
front-talk = Talk { $id }

front-last-closings = Last closings
front-closings-line = { $outcome } { $time }
front-closings-none = nothing has been decided on yet
front-closings-caption =
    { $number ->
        [one] The last decision to close a talk
       *[other] The last { $number } decisions to close a talk, the latest first
    }
front-all-closings = All closings
front-column-talk = Talk
front-column-outcome = Outcome
front-column-why = Why

front-talks-caption = Mirrored talks by state
front-talks-line = { $open } open, { $closed } closed
front-talks-open = Open
front-talks-waiting = Of these waiting for an answer
front-talks-missed = Of these missed
front-talks-closed = Closed
front-talks-gone = Gone
front-talks-gone-why = the API reports that they no longer exist
front-talks-denied = Denied
front-talks-denied-why = the API refuses them to this token
front-talks-all = All

front-requests = Requests and pauses
front-requests-caption = What delays requests, and how they end
front-requests-line = { $rate } a second
front-requests-paused = Paused: { $what }
front-requests-none = None yet: the daemon is starting
front-pause = Pause
front-next-probe = { $lasting }, next probe { $time }
front-requests-rate = Requests a second
front-requests-allowed = mean of the last minute, of { $allowed } allowed
front-shares = Shared between
front-shares-of =
    { $number ->
        [one] of { $number } request in 5 min
       *[other] of { $number } requests in 5 min
    }
front-last-success = Last successful answer
front-last-failure = Last failure
front-token = Token
front-token-renewed = renews itself, last { $time }

front-feeders-caption = What finds talks by itself and queues them
front-feeders-none = No feeder has run yet
front-feeders-line = { $number } on
front-feeders-failing = { $number } with an error
front-feeder-on = on
front-feeder-off = off
front-feeder-error = error: { $error }
front-feeder-error-since = error { $time }: { $error }
front-all-feeders = All about feeders
front-column-feeder = Feeder
front-column-last = Last
front-column-queued-then = Queued then
front-column-in-all = In all

front-mirror = The mirror
front-mirror-caption = How complete it is, and the room that it takes
front-mirror-line = { $size }, version { $version }
front-completeness = Completeness
front-completeness-all =
    { $number ->
        [one] complete: { $number } talk
       *[other] complete: { $number } talks
    }
front-completeness-unknown = not counted yet
front-size = Database
front-free-inside = { $size } of it are free inside
front-grows = grows { $size } a day
front-shrinks = shrinks { $size } a day
front-growth-none = does not grow
front-growth-unknown = growth a day not known yet
front-wal = WAL
front-wal-held = held { $time } by a reader that is not visible from here
front-wal-held-by = held { $time } by { $by }
front-disk = Free on the disk
front-disk-full = full in about { $span } at this pace
front-backup = Last backup
front-backup-kept =
    { $number ->
        [one] { $number } is kept in { $path }
       *[other] { $number } are kept in { $path }
    }
front-version = Version
front-runs-since = process { $pid } runs { $time }

front-publishing = Publishing
front-publishing-caption = What the PostgreSQL server has of this mirror
front-publishing-line =
    { $number ->
        [one] { $number } talk waits
       *[other] { $number } talks wait
    }
front-publishing-fails = error { $time }
front-stands-by = standing by
front-server = Server
front-talks-that-wait = Talks that wait
front-for-up-to = for up to { $span }
front-last-confirmed = Last confirmed
front-talks-left-out = Talks left out
front-left-out-why = the server refuses them; the last, talk { $id }: { $error }
