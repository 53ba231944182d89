# What is used everywhere: units, times, numbers of things.
verbatim = { $text }

duration-seconds = { $number } s
duration-minutes = { $number } min
duration-hours = { $number } h
duration-days = { $number } d

time-ago = { $span } ago
time-in-the-future = { $span } in the future
time-for = for { $span }
time-since = since { $time }
time-now = now
time-in = in { $span }

day-of-month = { $day } { $month }
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec

talks =
    { $number ->
        [one] { $number } talk
       *[other] { $number } talks
    }

days =
    { $number ->
        [one] { $number } day
       *[other] { $number } days
    }
years =
    { $number ->
        [one] { $number } year
       *[other] { $number } years
    }
events =
    { $number ->
        [one] { $number } event
       *[other] { $number } events
    }
states =
    { $number ->
        [one] { $number } state
       *[other] { $number } states
    }

size-bytes = { $number } B
size-kib = { $number } KiB
size-mib = { $number } MiB
size-gib = { $number } GiB
size-tib = { $number } TiB

# Durations as in the configuration.
exactly-seconds = { $number }s
exactly-minutes = { $number }m
exactly-hours = { $number }h
exactly-days = { $number }d

# What finds talks. A row of a table begins with a capital.
feeder-refresh = refresh
feeder-listing = listing
feeder-events = events
feeder-past-events = past events
feeder-directory = directory
feeder-webhook = webhook
feeder-backfill = backfill

# Parts of the queue, by purpose.
lane-closing = closing
lane-asked = asked
lane-hints = hints
lane-unmirrored = unmirrored
lane-refresh = refresh

# auto_close.mode
close-mode-off = off
close-mode-dry-run = dry-run
close-mode-live = live

# What came of a closing, also after a count.
outcome-would-close = would be closed
outcome-requested = requested
outcome-accepted = accepted, not yet seen closed
outcome-closed = closed
outcome-withdrawn = withdrawn
outcome-refused = refused
outcome-failed = failed

# Which talks are stale, after "talks".
stale-rules = missed for over { $missed } and unchanged for over { $unchanged }
stale-rules-work = missed for over { $missed } of work and unchanged for over { $unchanged }
stale-rules-only = { $rules }, only { $channels }
stale-rules-except = { $rules }, except { $channels }

freshness-none = no open talk is mirrored
freshness = half of the open talks were fetched within { $p50 } (p50), 95 % within { $p95 } (p95), all within { $max }

completeness-of = { $mirrored } of { $known } known talks mirrored
completeness-more = { $mirrored } talks mirrored, more are being looked for
completeness-left = { $how }, about { $left } left

exempt =
    { $rows ->
        [one] { $rows } row of close_exemptions keeps { $stale } from being closed
       *[other] { $rows } rows of close_exemptions keep { $stale } from being closed
    }
no-stale-talk = no stale talk
stale-talks =
    { $number ->
        [one] { $number } stale talk
       *[other] { $number } stale talks
    }
aim-closed = closed
aim-decided = decided on (dry run)

backfill-checked = { $done } of { $all } ids are checked
backfill-ended = from { $from } to { $to }: { $checked }; ended { $time }: { $why }
backfill-left = from { $from } to { $to }: { $checked }; done in about { $left }
backfill-began = from { $from } to { $to }: { $checked }; started { $time }

past-events-off = off; read since { $since }: { $events }
past-events-read = read since { $since }, { $time }: { $events }
past-events-left = { $percent } % of the time since { $since } is read: { $events }; done in about { $left }
past-events-begin = to be read since { $since }; started { $time }
