# Команда status.

# Названия строк.
status-mirror = Зеркало
status-account = Аккаунт
status-database = База данных
status-size = Размер
status-history = История
status-wal = WAL
status-daemon = Служба
status-requests = Запросы
status-last-failure = Последний сбой
status-paused = Пауза
status-token = Токен
status-talks = Беседы
status-freshness = Свежесть
status-queue = Очередь
status-shares = Доли
status-backup = Копии
status-publishing = Публикация
status-closing = Автозакрытие
status-exempt = Исключения
status-closures = Закрытия

status-off = выключено
status-none-yet = ещё не было
status-error = ошибка: { $error }
status-error-since = ошибка { $time }: { $error }

status-healthy = всё в порядке
status-incomplete = всё в порядке, но получены не все беседы: { $how }
status-not-healthy =
    { $number ->
        [one] не в порядке: { $number } замечание, { $see }
        [few] не в порядке: { $number } замечания, { $see }
        [many] не в порядке: { $number } замечаний, { $see }
       *[other] не в порядке: { $number } замечания, { $see }
    }
status-see-below = см. ниже
status-see-above = см. выше

status-account-unknown = ещё не известен
status-account-doubted = { $account }; не подтверждён, { $see }
status-account-confirmed = { $account }; подтверждён { $time }

status-size-whole = { $size }
status-size-free-inside = { $size } (внутри свободно { $free })
status-growth-unknown = прирост за день ещё не известен
status-no-growth = не растёт
status-grows = растёт на { $size } в день
status-shrinks = уменьшается на { $size } в день
status-size-line = { $stored }; { $growth }
status-disk-free = { $line }; на диске свободно { $free }
status-disk-full = { $line }: хватит примерно на { $span }

status-removed-after = состояния, сменившиеся больше { $span } назад, удаляются
status-retention-not-now = не сейчас: { $why }
status-retention-runs = идёт { $time }, удалено { $number }
status-retention-last = последний раз { $time }: удалено { $number }
status-retention-none = ещё не было

status-wal-held = удерживается { $time }: { $by }
status-wal-invisible = программа, которую отсюда не видно: `fuser -v { $path }`

status-daemon-never = здесь ещё не запускалась
status-daemon-runs = работает ({ $command }, процесс { $process }) { $since }; последняя отметка { $seen }
status-daemon-silent = работает ({ $command }), но молчит; последняя отметка { $seen }
status-daemon-stopped = не работает; остановлена { $time } ({ $command })
status-daemon-vanished = не работает; последняя отметка { $seen } ({ $command })

status-request-rate = { $rate } в секунду из { $allowed } разрешённых; последний успешный { $last }
status-failed = { $time }: { $why }
status-pause = { $time }: { $why }; следующая проба { $next }
status-token-renewed = { $expiry }; продлевается сам, последний раз { $time }

status-talk-counts = { $total }: открыто { $open } (пропущено { $missed }), закрыто { $closed }, удалено { $gone }; нет доступа: { $denied }

status-queue-due = сейчас { $number }
status-queue-later = позже { $number }
status-queue-failed = не удалось { $number }
status-queue-with = { $count } ({ $remark })
status-queue-oldest = первая { $time }
status-queue-next = ближайшая { $time }

status-share = { $lane } { $percent } %
status-shared =
    { $number ->
        [one] { $shares } от { $number } запроса за 5 минут
       *[other] { $shares } от { $number } запросов за 5 минут
    }

status-feeder-none-read = ещё ничего не прочитано
status-feeder-nothing-read = включено, ещё ничего не прочитано
status-feeder-read = последний раз прочитано { $time }
status-feeder-begins = включено, первый проход не окончен; поставлено в очередь { $all }
status-feeder-ran = последний раз { $time }: в очередь { $found } (всего { $all })

status-backup-last = последняя { $time }: { $path }, { $size }
status-backup-none = ещё нет, папка { $path }
status-backup-failing = не удаётся { $time }: { $error }
status-backup-kept = хранятся последние { $number }
status-backup-line = { $last }; { $kept }
status-backup-next = { $last }; следующая { $time }; { $kept }

status-publish-later = на { $server }, пока служба работает
status-publish-standby = в резерве для { $server }: { $error }
status-publish-done = все изменения опубликованы
status-publish-waits = { $wait }, до { $span }
status-publish = на { $server }: { $wait }
status-publish-left-out = на { $server }: { $wait }; не опубликовано: { $talks }

status-no-sweep = обхода ещё не было
status-sweep = последний обход { $time }: под закрытие попало { $stale }, в очередь { $queued }
status-auto-close = { $mode }, беседы, { $rules }; { $swept }
status-exempt-see = { $exempt }; см. `talkmirror exempt list`
status-outcome = { $outcome } { $number }
status-today = сегодня ({ $zone }): { $outcomes }
status-none-today = сегодня ({ $zone }) не было
status-under-way = { $today }; ещё в работе { $number }

# status --watch
status-watch-foot = { $time } UTC; q — выход
status-watch-more =
    { $number ->
        [one] … ещё { $number } строка; { $foot }
        [few] … ещё { $number } строки; { $foot }
        [many] … ещё { $number } строк; { $foot }
       *[other] … ещё { $number } строки; { $foot }
    }
