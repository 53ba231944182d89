# Страницы: что есть на каждой из них.
sections = Страницы
section-overview = Обзор
section-talks = Беседы
section-queue = Очередь
section-closings = Закрытия
section-feeders = Пополнение
skip-to-content = Перейти к содержанию
as-of = По состоянию на { $time }.
footer-refreshes = Страница обновляется сама каждые { $seconds } с.
footer-all-utc = Дни и время — UTC.
footer-zone = Дни — по зоне { $zone }, время — UTC.
footer-programs = Для программ:
footer-metrics = метрики
footer-readiness = готовность
footer-health = состояние процесса
title-not-reached = Нет связи
not-reached-since = Связи со службой нет с { $time }. Ниже — то, что было верно тогда.

pages = Страницы списка
page-number = Страница { $page }
page-before = Предыдущая
page-after = Следующая

not-found = Не найдено
not-found-page = По этому адресу страницы нет.
bad-request = Адрес не читается
query-takes-none = Ключ `{ $key }` здесь не известен. У этой страницы ключей нет.
query-unknown-key = Ключ `{ $key }` здесь не известен. Эта страница знает { $known }.
query-bad-value = Ключ `{ $key }` указан дважды или слишком длинный.
query-unknown-value = `{ $key }` не может быть `{ $value }`. Возможно: { $known }.

# Обзор: главная фраза.
front-title-works = Работает
front-title-begins = Запускается
front-title-attention = Нужно внимание
front-title-down = Не работает
front-state-paused = Нет. Всё приостановлено: { $what }.
front-state-obstacle = Нет. { $what }.
front-state-attention = Да, но { $what }.
front-state-begins = Служба запущена и ждёт первого ответа API.
front-state-works = Да, всё работает.
front-state-works-empty = Да, всё работает. Ни одной беседы пока не получено.
front-state-works-incomplete = Да, всё работает. Получены ещё не все беседы.
front-state-unreadable = Нет. База данных не читается: { $why }
front-answered = Последний ответ API — { $time }.
front-answered-never = API ещё ни разу не ответил.
front-closes-off = Автозакрытие выключено.
front-closes-dry-run = Автозакрытие в пробном режиме: решает, но ничего не закрывает.
front-closes-live = Автозакрытие в боевом режиме.
front-to-do = Что нужно сделать
front-what-to-do = Что делать:

# Главные числа.
front-now = Сейчас
front-tile-waiting = Ждут ответа
front-tile-missed = Пропущено
front-tile-open = Открытые беседы
front-tile-due = В очереди сейчас
front-tile-failed = Ошибки очереди
front-tile-closed = Автозакрыто сегодня
front-tile-would-close = Закрылось бы сегодня
front-longest = дольше всех — { $span }
front-fetched-within = 95 % не старше { $span }
front-auto-close-off = автозакрытие выключено
front-auto-close-dry-run = пробный режим

# Графики.
front-course = По времени
front-course-incomplete = Пока получены не все беседы, эти числа занижены: { $how }.
front-range = Период
front-range-hours = 24 часа
front-range-week = 7 дней
front-range-month = 30 дней
front-range-quarter = 90 дней
front-channel = Источник
front-channel-all = все
front-no-such-channel = Бесед с источником `{ $channel }` в зеркале нет.
front-today = сегодня
front-this-hour = этот час
front-so-far = (пока)
front-last-minute = последняя минута
front-chart-now = сейчас { $number }
front-chart-so-far = { $when } { $number }
front-chart-open = Открытые
front-chart-missed = Пропущенные
front-chart-closed = Закрытые
front-chart-requests = Запросы в минуту
front-chart-requests-now = сейчас { $number }
front-chart-open-text = Открытые беседы, период — { $range }: сейчас { $now }; { $extremes }.
front-chart-missed-text = Пропущенные беседы, период — { $range }: в последнем пока { $now }, всего { $sum }; { $extremes }.
front-chart-closed-text = Закрытые беседы, период — { $range }: в последнем пока { $now }, всего { $sum }; { $extremes }.
front-chart-requests-text = Запросы по минутам, последние { $minutes }: за последнюю полную { $last }, в среднем { $mean }, не больше { $most }.
front-chart-requests-none = Ни одной полной минуты ещё не прошло.
front-extreme = { $number } ({ $time })
front-extremes = меньше всего { $least }, больше всего { $most }
front-figures = { $range } в числах
front-figures-by-day = Беседы по дням, как их знает зеркало сейчас.
front-figures-by-hour = Беседы по часам (UTC), как их знает зеркало сейчас.
front-figures-how = Беседа считается закрытой в момент события о закрытии, а если его нет — тогда, когда она последний раз изменилась в аккаунте до того, как зеркало увидело её закрытой. Поэтому беседа, закрытая давно и полученная сегодня, не считается закрытой сегодня.
front-column-day = День
front-column-hour = Час
front-column-open-at-end = Открыто в конце
front-column-missed = Пропущено
front-column-closed = Закрыто

# Подробности.
front-none = нет
front-none-yet = пока не было
front-nothing-yet = пока ничего
front-never = ни разу
front-off = выключено
front-error = Ошибка
front-and-more = … и ещё { $number }

front-queue-caption = Беседы, которые ждут запроса
front-queue-line = сейчас { $due }, позже { $later }, с ошибкой { $failed }
front-queue-due = Пора запросить
front-queue-urgent = Из них по просьбе или по событиям
front-queue-later = Позже
front-queue-failed = С ошибкой
front-after-attempts = после всех попыток
front-the-oldest = самая давняя { $time }
front-the-next = следующая { $time }

front-auto-close = Автозакрытие
front-auto-close-caption = Что делается с пропущенными беседами
front-auto-close-mode = Режим
front-dry-run-how = пробный: решает, но ничего не закрывает
front-closes-talks = беседы, { $rules }
front-last-sweep = Последний обход
front-sweep-found = к закрытию { $stale }, в очередь { $aim } — { $queued }
front-decisions-today = Решения за сегодня
front-under-way = Не завершено
front-exempt-talks = Исключения
front-talk = Беседа { $id }

front-last-closings = Последние закрытия
front-closings-line = { $outcome }, { $time }
front-closings-none = решений пока не было
front-closings-caption =
    { $number ->
        [one] Последнее { $number } решение о закрытии
        [few] Последние { $number } решения о закрытии, новые сверху
        [many] Последние { $number } решений о закрытии, новые сверху
       *[other] Последние { $number } решения о закрытии, новые сверху
    }
front-all-closings = Все закрытия
front-column-talk = Беседа
front-column-outcome = Итог
front-column-why = Почему

front-talks-caption = Беседы в зеркале по состоянию
front-talks-line = открытых { $open }, закрытых { $closed }
front-talks-open = Открытые
front-talks-waiting = Из них ждут ответа
front-talks-missed = Из них пропущены
front-talks-closed = Закрытые
front-talks-gone = Исчезли
front-talks-gone-why = API сообщает, что их больше нет
front-talks-denied = Нет доступа
front-talks-denied-why = API не отдаёт их с этим токеном
front-talks-all = Все

front-requests = Запросы и паузы
front-requests-caption = Что задерживает запросы и чем они кончаются
front-requests-line = { $rate } в секунду
front-requests-paused = Пауза: { $what }
front-requests-none = Пока нет: служба запускается
front-pause = Пауза
front-next-probe = { $lasting }, следующая проба { $time }
front-requests-rate = Запросов в секунду
front-requests-allowed = в среднем за минуту, разрешено { $allowed }
front-shares = На что уходят
front-shares-of =
    { $number ->
        [one] из { $number } запроса за 5 мин
        [few] из { $number } запросов за 5 мин
        [many] из { $number } запросов за 5 мин
       *[other] из { $number } запроса за 5 мин
    }
front-last-success = Последний успешный ответ
front-last-failure = Последняя неудача
front-token = Токен
front-token-renewed = обновляется сам, последний раз { $time }

front-feeders-caption = Что само находит беседы и ставит их в очередь
front-feeders-none = Пока не работали
front-feeders-line = включено { $number }
front-feeders-failing = с ошибкой { $number }
front-feeder-on = включено
front-feeder-off = выключено
front-feeder-error = ошибка: { $error }
front-feeder-error-since = ошибка { $time }: { $error }
front-all-feeders = Подробнее
front-column-feeder = Что
front-column-last = Последний раз
front-column-queued-then = Тогда в очередь
front-column-in-all = Всего

front-mirror = Зеркало
front-mirror-caption = Насколько оно полное и сколько места занимает
front-mirror-line = { $size }, версия { $version }
front-completeness = Полнота
front-completeness-all =
    { $number ->
        [one] полное: { $number } беседа
        [few] полное: { $number } беседы
        [many] полное: { $number } бесед
       *[other] полное: { $number } беседы
    }
front-completeness-unknown = ещё не подсчитано
front-size = База данных
front-free-inside = из них { $size } внутри свободно
front-grows = растёт на { $size } в день
front-shrinks = уменьшается на { $size } в день
front-growth-none = не растёт
front-growth-unknown = рост за день ещё не известен
front-wal = WAL
front-wal-held = { $time } удерживает программа, которой отсюда не видно
front-wal-held-by = { $time } удерживает { $by }
front-disk = Свободно на диске
front-disk-full = при таком росте закончится примерно через { $span }
front-backup = Резервная копия
front-backup-kept =
    { $number ->
        [one] хранится { $number } в { $path }
        [few] хранятся { $number } в { $path }
        [many] хранятся { $number } в { $path }
       *[other] хранятся { $number } в { $path }
    }
front-version = Версия
front-runs-since = процесс { $pid } работает { $time }

front-publishing = Публикация
front-publishing-caption = Что есть из этого зеркала на сервере PostgreSQL
front-publishing-line =
    { $number ->
        [one] ждёт { $number } беседа
        [few] ждут { $number } беседы
        [many] ждут { $number } бесед
       *[other] ждут { $number } беседы
    }
front-publishing-fails = ошибка { $time }
front-stands-by = в резерве
front-server = Сервер
front-talks-that-wait = Ждут публикации
front-for-up-to = до { $span }
front-last-confirmed = Последнее подтверждение
front-talks-left-out = Не приняты
front-left-out-why = сервер их не принимает; последняя, беседа { $id }: { $error }
