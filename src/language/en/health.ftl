# What is wrong, and what a person can do about it.

# Why everything pauses.
reason-unauthorized = the API does not accept the token
reason-unpaid = the account is not paid for
reason-blocked = the account or this address is blocked
reason-rate-limited = too many requests for the API
reason-outage = the API fails or cannot be reached
reason-unexpected-answer = the API returns unexpected answers
reason-many-gone = the API reports too many stored open talks as missing

what-stalled = the daemon makes no progress: { $why }
what-write-error = the database cannot be written: { $why }
what-pauses = everything pauses: { $why } ({ $detail })
what-paused = everything paused when it last ran: { $why } ({ $detail })
# It begins with what-pauses.
what-probes = { $pause }; next probe { $time }

do-unpaid = pay for the account: talkmirror resumes within 15 min by itself, or at once by `talkmirror resume`
do-blocked = ask the vendor's support to lift the block; check api.base_url and who else uses this address
do-start-with-probe = start it again (`talkmirror run` or `talkmirror sync`): it begins with one probe
do-rate-limited = none: talkmirror resumes by itself; if it happens again, lower api.requests_per_second
do-unexpected-answer = open the address in a browser: is it a maintenance or login page, a firewall, another domain? Check api.base_url. talkmirror resumes by itself when the API answers again
do-many-gone = check in the account whether they were deleted. If so, `talkmirror resume` accepts that; else check api.base_url and the token's rights
do-outage = none if the vendor has an outage: talkmirror resumes by itself; else check the network

what-unanswered = no talk was fetched { $time }; { $feeder }: { $error }
do-unanswered = check the network and api.base_url; if the account offers no lists, use webhooks or begin with `talkmirror backfill --from ID`

what-silent = the daemon has written nothing for { $minutes } min
do-silent = see its journal: is the disk full, or does another program hold the write lock?
what-stopped = the daemon was stopped { $time }, and nothing is kept fresh since
do-start = start it again: `systemctl start talkmirror`, or `talkmirror run`
what-vanished = the daemon ended without a clean stop: it was killed, or the machine went down
do-start-again = start it again: nothing is lost
what-neglected =
    { $number ->
        [one] { $number } talk is due and nobody fetches it
       *[other] { $number } talks are due and nobody fetches them
    }
do-neglected = start the daemon (`talkmirror run`), or `talkmirror sync`
what-failed =
    { $number ->
        [one] { $number } talk failed after repeated attempts
       *[other] { $number } talks failed after repeated attempts
    }
do-failed = see `talkmirror queue list --failed`, then `talkmirror queue retry` or `queue drop`

what-account = the account that answers is not confirmed: { $why }; 404, 403 and 204 are ignored
do-account = check api.base_url and the token: `talkmirror check` names the account that answers
what-max-share = auto-close stopped a sweep { $time }: { $stale } of { $open } open talks are stale, more than auto_close.max_share allows
do-max-share = see `talkmirror stale`; then change the rules, or run `talkmirror close --yes` to sweep once

clock-unknown = the API's answer has no Date to check this machine's clock by
clock-ahead = this machine's clock is { $span } ahead of the API's
clock-behind = this machine's clock is { $span } behind the API's
what-not-closing = { $why }: nothing is closed
do-clock-unknown = find out what removes the Date from the API's answers: a proxy?
do-clock = set the clock right (NTP): the daemon notices at the next sweep
do-clock-start = set the clock right (NTP), and start it again
what-clock = times in the database are up to { $span } in the future: the clock was set back, or was wrong
do-clock-check = check this machine's clock (`timedatectl`); if it is right, the wrong times are replaced as talks are fetched again

what-last-failure = the last request failed, { $time }: { $why }
no-reason = no reason is known
do-last-failure = none if it was a single one: it is retried; three in a row without an answer pause everything

what-without-missed-at = { $without } of the newest { $talks } talks came without the field missed_at, which auto-close needs
do-without-missed-at = ask the vendor's support why GET /api/v4/talks/{"{id}"} does not send it in this account
what-odd-fields = optional fields came in another shape than the API documents, and are NULL: { $fields }
odd-field = { $field } ({ $answers } answers)
do-odd-fields = `talkmirror why { $talk }` shows the last one; its payload has the value. `DELETE FROM odd_fields` clears this message

token-expires = expires in { $span }, on { $day }
token-expired = expired { $span } ago, on { $day }
what-token = the API token { $expiry }
do-token-replace = make a new one in the integration's settings and put it in place of the old one (api.token_file): the daemon uses it without a restart. If only systemd can read that file, restart the service
do-token = put a valid token into api.token_file: the daemon uses it without a restart. If only systemd can read that file, restart the service
do-login = run `talkmirror login`: the daemon uses the new tokens without a restart; if they are refused too, check api.base_url and [api.oauth]
what-token-not-renewed = the API token cannot be renewed: { $error }
what-token-renewal = the API token, which { $expiry }, could not be renewed: { $error }
do-token-renewal = none if it passes: the token is renewed as soon as the API answers; else run `talkmirror login`
do-token-renewal-passes = none if it passes: it is retried by itself

what-disk-nearly-full = the database's disk is nearly full: { $free } are free
what-disk-fills = the database's disk is full in about { $span }: { $free } are free, and the database grows { $growth } a day
do-make-room = make room on that disk, or stop talkmirror and move the database to a larger one (database.path); retention.versions removes old states, and SQLite uses their room again

what-wal-grown = the write-ahead log has grown to { $size }
what-wal-grown-on = the write-ahead log has grown to { $size }, with { $free } free on its disk
what-wal-held-by = { $grown }: { $reader } has kept an old state of the database open { $time }
what-wal-held = { $grown }: some reader has kept an old state of the database open { $time }
own-backup = a backup that talkmirror makes
do-wal-grown = none if it passes within minutes, while the WAL is moved into the database; else see the daemon's journal
do-wal-backup = make room: the WAL shrinks by itself when the copy is made
do-wal-reader = end that transaction, or that program: the WAL then shrinks by itself
do-wal-find = find that reader (`fuser -v` with the database's path, as root) and end its transaction: the WAL then shrinks by itself
what-write-lock = { $program } holds the write lock: nothing can be recorded meanwhile
do-write-lock = end its transaction; nothing is lost, and the daemon continues by itself

what-backup-failed = the backup failed { $time }: { $error }
do-backup-failed = correct that; the backup is retried { $time }, or at once by `systemctl reload talkmirror` (SIGHUP)
do-backup-failed-for-good = correct that; the backup is retried, or at once by `systemctl reload talkmirror` (SIGHUP)
what-backup-overdue = a backup was due { $time } and was not made; { $last }
backup-last = the last was made { $time }
backup-none = there is none yet
do-backup-overdue = check that the daemon runs, and read its journal; or make a backup now: `talkmirror backup PATH`

with-cause = { $what }: { $error }
what-publish-unclaimed = nothing is requested or closed { $time }, because another host may work the account
do-publish-unclaimed = bring the server of publish.server back, or the network to it; then the account is worked again
what-not-published = nothing is published to { $server } { $time }: { $error }
do-publish-refused = correct that: `talkmirror check` tries it, the daemon retries each minute, and nothing is lost meanwhile
do-not-published = none if the server comes back: what waits is published then; else check the server and the network
what-publish-slow =
    { $number ->
        [one] { $server } takes changes more slowly than they come: { $number } talk waits to be published, for up to { $span }
       *[other] { $server } takes changes more slowly than they come: { $number } talks wait to be published, for up to { $span }
    }
do-publish-slow = find out what slows the server or the network: locks, its disk, a distant host
what-publish-left-out =
    { $number ->
        [one] { $number } talk is left out of what is published to { $server }: the server refuses talk { $talk } ({ $error })
       *[other] { $number } talks are left out of what is published to { $server }: the server refuses talk { $talk } ({ $error })
    }
do-publish-left-out = see `talkmirror publish status`: correct the server, then run `talkmirror publish all`; without that, each is published with its next change
talks-wait =
    { $number ->
        [one] { $number } talk waits
       *[other] { $number } talks wait
    }

what-quota-refresh = the quota cannot keep up: { $spare } requests a second are left to refresh { $open } open talks, each every { $round } on average
do-quota-refresh = api.requests_per_second = { $quota } (amoCRM allows 7, and sells more in packs) would refresh them all within an hour
what-quota-backlog =
    { $number ->
        [one] the quota cannot keep up: { $number } talk is waiting to be fetched that were asked for or hinted at, the first { $time }
       *[other] the quota cannot keep up: { $number } talks are waiting to be fetched that were asked for or hinted at, the first { $time }
    }
do-quota-backlog = none if it happens once; api.requests_per_second = { $quota } (amoCRM allows 7, and sells more in packs) would fetch them within 10 min

what-config-refused = a newer configuration was refused: { $mistakes }
do-config-refused = correct it, then reload (`systemctl reload talkmirror`, or SIGHUP); the old one stays in force
