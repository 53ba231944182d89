# The command status.

# The names of its lines.
status-mirror = Mirror
status-account = Account
status-database = Database
status-size = Size
status-history = History
status-wal = WAL
status-daemon = Daemon
status-requests = Requests
status-last-failure = Last failure
status-paused = Paused
status-token = Token
status-talks = Talks
status-freshness = Freshness
status-queue = Queue
status-shares = Shares
status-backup = Backup
status-publishing = Publishing
status-closing = Closing
status-exempt = Exempt
status-closures = Closures

status-off = off
status-none-yet = none yet
status-error = error: { $error }
status-error-since = error { $time }: { $error }

status-healthy = healthy
status-incomplete = healthy, but incomplete: { $how }
status-not-healthy = not healthy: { $number } to check, { $see }
status-see-below = see below
status-see-above = see above

status-account-unknown = not known yet
status-account-doubted = { $account }; not confirmed, { $see }
status-account-confirmed = { $account }; confirmed { $time }

status-size-whole = { $size }
status-size-free-inside = { $size } ({ $free } free inside)
status-growth-unknown = growth a day not known yet
status-no-growth = does not grow
status-grows = grows { $size } a day
status-shrinks = shrinks { $size } a day
status-size-line = { $stored }; { $growth }
status-disk-free = { $line }; { $free } free on the disk
status-disk-full = { $line }: full in about { $span }

status-removed-after = states that ended over { $span } ago are removed
status-retention-not-now = not now: { $why }
status-retention-runs = running { $time }, { $number } removed so far
status-retention-last = last { $time }: { $number } removed
status-retention-none = not done yet

status-wal-held = held { $time } by { $by }
status-wal-invisible = a reader that is not visible from here: `fuser -v { $path }`

status-daemon-never = has never run here
status-daemon-runs = runs ({ $command }, process { $process }) { $since }; last sign of life { $seen }
status-daemon-silent = runs ({ $command }) and is silent; last sign of life { $seen }
status-daemon-stopped = does not run; stopped { $time } ({ $command })
status-daemon-vanished = does not run; last sign of life { $seen } ({ $command })

status-request-rate = { $rate } a second of { $allowed } allowed; last success { $last }
status-failed = { $time }: { $why }
status-pause = { $time }: { $why }; next probe { $next }
status-token-renewed = { $expiry }; renewed by itself, last { $time }

status-talk-counts = { $total }: { $open } open ({ $missed } missed), { $closed } closed, { $gone } gone; { $denied } denied

status-queue-due = { $number } due
status-queue-later = { $number } later
status-queue-failed = { $number } failed
status-queue-with = { $count } ({ $remark })
status-queue-oldest = the oldest { $time }
status-queue-next = the next { $time }

status-share = { $lane } { $percent } %
status-shared = { $shares } of { $number } requests in 5 min

status-feeder-none-read = none is read yet
status-feeder-nothing-read = on, nothing read yet
status-feeder-read = last read { $time }
status-feeder-begins = on, first run not finished; { $all } queued so far
status-feeder-ran = last { $time }: { $found } queued ({ $all } in all)

status-backup-last = last { $time }: { $path }, { $size }
status-backup-none = none yet, to { $path }
status-backup-failing = failing { $time }: { $error }
status-backup-kept = { $number } are kept
status-backup-line = { $last }; { $kept }
status-backup-next = { $last }; next { $time }; { $kept }

status-publish-later = to { $server } while the daemon runs
status-publish-standby = standing by for { $server }: { $error }
status-publish-done = all changes are published
status-publish-waits = { $wait }, for up to { $span }
status-publish = to { $server }: { $wait }
status-publish-left-out = to { $server }: { $wait }; { $talks } left out

status-no-sweep = no sweep yet
status-sweep = last sweep { $time }: { $stale } stale, { $queued } queued
status-auto-close = { $mode }, talks { $rules }; { $swept }
status-exempt-see = { $exempt }; see `talkmirror exempt list`
status-outcome = { $number } { $outcome }
status-today = { $outcomes } today ({ $zone })
status-none-today = none today ({ $zone })
status-under-way = { $today }; { $number } under way

# status --watch
status-watch-foot = { $time } UTC; q quits
status-watch-more =
    { $number ->
        [one] … { $number } more line; { $foot }
       *[other] … { $number } more lines; { $foot }
    }
