# Что нужно везде: единицы, время, количества.
verbatim = { $text }

duration-seconds = { $number } с
duration-minutes = { $number } мин
duration-hours = { $number } ч
duration-days = { $number } дн.

time-ago = { $span } назад
time-in-the-future = через { $span } в будущем
time-for = уже { $span }
time-since = с момента { $time }
time-now = сейчас
time-in = через { $span }

day-of-month = { $day } { $month }
month-1 = янв.
month-2 = февр.
month-3 = мар.
month-4 = апр.
month-5 = мая
month-6 = июн.
month-7 = июл.
month-8 = авг.
month-9 = сент.
month-10 = окт.
month-11 = нояб.
month-12 = дек.

talks =
    { $number ->
        [one] { $number } беседа
        [few] { $number } беседы
        [many] { $number } бесед
       *[other] { $number } беседы
    }

days =
    { $number ->
        [one] { $number } день
        [few] { $number } дня
        [many] { $number } дней
       *[other] { $number } дня
    }
years =
    { $number ->
        [one] { $number } год
        [few] { $number } года
        [many] { $number } лет
       *[other] { $number } года
    }
events =
    { $number ->
        [one] { $number } событие
        [few] { $number } события
        [many] { $number } событий
       *[other] { $number } события
    }
states =
    { $number ->
        [one] { $number } состояние
        [few] { $number } состояния
        [many] { $number } состояний
       *[other] { $number } состояния
    }

size-bytes = { $number } Б
size-kib = { $number } КиБ
size-mib = { $number } МиБ
size-gib = { $number } ГиБ
size-tib = { $number } ТиБ

# Сроки из настроек.
exactly-seconds = { $number } с
exactly-minutes = { $number } мин
exactly-hours = { $number } ч
exactly-days = { $number } дн.

# Откуда программа узнаёт о беседах.
feeder-refresh = обновление
feeder-listing = список бесед
feeder-events = события
feeder-past-events = прошлые события
feeder-directory = справочники
feeder-webhook = вебхуки
feeder-backfill = обход номеров

# Для чего беседа стоит в очереди.
lane-closing = закрытие
lane-asked = по просьбе
lane-hints = по событиям
lane-unmirrored = впервые
lane-refresh = обновление

# auto_close.mode
close-mode-off = выключено
close-mode-dry-run = пробный режим
close-mode-live = боевой режим

# Чем кончилось закрытие, в том числе после числа.
outcome-would-close = было бы закрыто
outcome-requested = запрошено
outcome-accepted = ждёт проверки
outcome-closed = закрыто
outcome-withdrawn = отменено
outcome-refused = отказано
outcome-failed = не удалось

# Какие беседы закрываются, после слова «беседы».
stale-rules = пропущенные больше { $missed } назад и без изменений дольше { $unchanged }
stale-rules-work = пропущенные больше { $missed } рабочего времени назад и без изменений дольше { $unchanged }
stale-rules-only = { $rules }, только { $channels }
stale-rules-except = { $rules }, кроме { $channels }

freshness-none = в зеркале нет открытых бесед
freshness = половина открытых бесед получена не раньше { $p50 } назад (p50), 95 % — не раньше { $p95 } назад (p95), все — не раньше { $max } назад

completeness-of = получено { $mirrored } из { $known } известных бесед
completeness-more = получено бесед: { $mirrored }, поиск продолжается
completeness-left = { $how }, осталось примерно { $left }

exempt =
    { $rows ->
        [one] { $rows } строка close_exemptions оберегает от закрытия: { $stale }
        [few] { $rows } строки close_exemptions оберегают от закрытия: { $stale }
        [many] { $rows } строк close_exemptions оберегают от закрытия: { $stale }
       *[other] { $rows } строки close_exemptions оберегают от закрытия: { $stale }
    }
no-stale-talk = сейчас ни одной беседы
stale-talks =
    { $number ->
        [one] { $number } беседа
        [few] { $number } беседы
        [many] { $number } бесед
       *[other] { $number } беседы
    }
aim-closed = на закрытие
aim-decided = на решение (пробный режим)

backfill-checked = проверено номеров: { $done } из { $all }
backfill-ended = с { $from } по { $to }: { $checked }; закончен { $time }: { $why }
backfill-left = с { $from } по { $to }: { $checked }; осталось примерно { $left }
backfill-began = с { $from } по { $to }: { $checked }; начат { $time }

past-events-off = выключено; прочитано с { $since }: { $events }
past-events-read = прочитано с { $since }, { $time }: { $events }
past-events-left = прочитано { $percent } % времени с { $since }: { $events }; осталось примерно { $left }
past-events-begin = будет прочитано с { $since }; начато { $time }
