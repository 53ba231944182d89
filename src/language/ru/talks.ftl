# The pages of talks, the queue, closings and feeders.

# Что есть во всех списках.
list-state = Показать
list-channel = Источник
list-channel-all = Все
list-channel-none = без источника
list-too-slow = Это слишком долго. Выберите другой фильтр или меньшую часть.
list-is-shorter = В списке уже нет такой страницы. К первой странице
list-ends-here = Показаны только первые { $rows } строк. Остальные найдёт фильтр или поиск.
list-talk = Беседа { $id }
list-contact = контакт { $id }
list-user = пользователь { $id }
list-lead = сделка { $id }
list-since = с
list-column-talk = Беседа
list-column-client = Клиент
list-column-waiting = Ждёт
list-column-responsible = Чей клиент
list-column-state = Состояние
list-column-due = Должна быть получена
list-column-next = Следующая попытка
list-column-failed = Отказ
list-column-attempts = Неудачных попыток
list-column-error = Последняя ошибка
list-column-outcome = Итог
list-column-day = День
list-column-why = Почему
list-column-times = Время
list-column-feeder = Что пополняет очередь
list-column-last-run = Последний запуск
list-column-queued = Поставлено тогда
list-column-queued-in-all = Всего
query-no-day = `{ $key }` не может быть `{ $value }`. День пишется так: `2027-01-31`.
query-no-number = `{ $key }` не может быть `{ $value }`. Это номер беседы.
query-no-page = `{ $key }` не может быть `{ $value }`. Страницы — от 1 до { $most }.

# Список бесед.
talks-waiting =
    { $number ->
        [one] { $number } клиент ждёт ответа — { $lasting }
        [few] { $number } клиента ждут ответа, дольше всех — { $lasting }
        [many] { $number } клиентов ждут ответа, дольше всех — { $lasting }
       *[other] { $number } клиента ждут ответа, дольше всех — { $lasting }
    }
talks-nobody-waits = Никто не ждёт ответа.
talks-open = Открытые
talks-filter-waiting = Ждут ответа
talks-missed = Пропущенные
talks-failed = Не получены
talks-gone = Пропавшие
talks-all = Все
talks-search = Номер, адрес или имя
talks-search-button = Искать
talks-search-end = Сбросить поиск
talks-search-all = Искать среди всех бесед
talks-search-of-all = Среди всех бесед ищутся только номера и имена клиентов. Среди открытых — ещё источники, сделки и ответственные.
talks-no-names = Имена клиентов не хранятся. Их сохраняет `directory.contacts = true`.
talks-none = В этом списке нет бесед.
talks-none-found = По запросу «{ $text }» здесь ничего не найдено.
talks-caption-waiting = Беседы и их клиенты, сначала те, кто ждёт дольше всех
talks-caption-latest = Беседы и их клиенты, сначала последние
list-waits-not = нет
list-work-time = из них рабочего времени { $span }
list-responsible-unknown = не известно
list-lead-none = без сделки
list-open-chat = Открыть чат
list-state-missed = пропущена
list-state-unread = не прочитана
list-state-read = прочитана
list-state-closed = закрыта
list-state-gone = пропала: API её больше не знает
list-state-denied = нет доступа у этого токена
list-state-not-mirrored = ещё не в зеркале
list-state-failed = не удалось получить
list-state-queued = в очереди

# Очередь.
queue-what = Беседы, которые ждут получения из API.
queue-due = Сейчас
queue-later = Позже
queue-failed = Отказ
queue-due-caption = Что можно получать сейчас, сначала самое срочное
queue-later-caption = Что повторится или назначено на потом, сначала ближайшее
queue-failed-caption = Что не удалось ни в одной попытке, сначала последнее
queue-none = В этом списке нет строк очереди.
queue-repair = Сами они больше не запрашиваются. Устраните причину, затем выполните `talkmirror queue retry` для всех или `talkmirror queue retry ID` для одной. `talkmirror queue drop ID` убирает одну из очереди.
queue-queued = поставлена
queue-error-none = нет
queue-fetch-again = Получить снова

# Закрытия.
closings-what = Каждое решение закрыть беседу и что из него вышло.
closings-caption = Решения, сначала последние. Ошибки — на английском, как в базе.
closings-none = В этом списке нет решений.
closings-all = Все
closings-under-way = в процессе
closings-all-days = Все
closings-today = сегодня
closings-dry-run = пробный режим
closings-requests =
    { $number ->
        [one] { $number } запрос
        [few] { $number } запроса
        [many] { $number } запросов
       *[other] { $number } запроса
    }
closings-decided = решено
closings-request-left = отправлено
closings-verified = закрытие видно

# Что пополняет очередь.
feeders-what = Что само находит беседы и ставит их в очередь.
feeders-caption = Каждый — под своим именем из конфигурации
feeders-none = Ещё ничего не запускалось.
feeders-on = включено
feeders-off = выключено
feeders-error = ошибка
feeders-never = никогда
feeders-purpose-refresh = получает известные беседы заново
feeders-purpose-listing = читает список бесед
feeders-purpose-events = читает новые события аккаунта
feeders-purpose-past-events = читает прошлые события
feeders-purpose-directory = читает имена; в очередь не ставит
feeders-purpose-webhook = принимает вебхуки аккаунта
feeders-purpose-backfill = проходит номера бесед аккаунта
feeders-names = Сохранённые имена
feeders-names-caption = Сколько строк сохранил справочник
feeders-names-users = Пользователи
feeders-names-pipelines = Воронки
feeders-names-leads = Сделки
feeders-names-contacts = Контакты
# One talk

# Whether it is stale.
ago-of-work = { $ago } (из них рабочих: { $work })
verdict-stale = просрочена: пропущена { $missed }, без изменений { $quiet }
kept-gone = API сообщает, что такой беседы нет
kept-denied = API не показывает её с этим токеном
kept-closed = уже закрыта
kept-status = её статус: { $status }
kept-not-missed = не пропущена
kept-missed-in-the-future = пропущена в будущем, если верить часам этого компьютера
kept-missed-lately = пропущена { $missed }: { $wanted } ещё не прошло
kept-changed-in-the-future = изменилась в будущем, если верить часам этого компьютера
kept-changed-lately = изменилась { $quiet } назад: { $wanted } ещё не прошло
kept-without-origin = у неё нет источника
kept-origin = её источник исключён: { $origin }
exempt-by = её оберегает от закрытия { $row }
perhaps-exempt-by-lead = её сделка неизвестна, поэтому её, возможно, оберегает от закрытия { $row }
perhaps-exempt-by-contact = её контакт неизвестен, поэтому её, возможно, оберегает от закрытия { $row }
exemption = строка { $id } в close_exemptions ({ $target })
exemption-until = строка { $id } в close_exemptions ({ $target }, до { $until } UTC)
exemption-reason = { $row }: { $reason }
target-talk = беседа { $id }
target-contact = контакт { $id }
target-chat = чат { $id }
target-user = пользователь { $id }
target-pipeline = воронка { $id }
held-back-accepted = запрос на закрытие принят: следующее получение беседы покажет, закрыта ли она
held-back-requested = запрос на закрытие отправлен: следующее получение беседы покажет, что с ним стало
held-back-refused = меньше суток назад в закрытии отказано
held-back-failed = меньше суток назад закрыть не удалось
held-back-recorded = решение уже записано: в боевом режиме она была бы закрыта

# Its state.
talk-open = открыта
talk-closed = закрыта
talk-seen-closed = закрытие замечено { $ago }
talk-missed = пропущена { $ago }
talk-read = прочитана
talk-not-read = не прочитана
talk-status = статус { $status }
talk-gone = исчезла: { $ago } API сообщил, что её больше нет
talk-denied = недоступна: { $ago } API отказал этому токену
talk-does-not-exist = не существует, как сообщил API { $time } ({ $ago })
talk-not-mirrored = в зеркале её нет

# Its row in the queue.
talk-not-queued = не в очереди
talk-waits = ждёт { $lasting } (причина { $reason }, приоритет { $priority })
talk-attempts-failed = неудачных попыток: { $failed } из { $most }
talk-last-error = последняя ошибка: { $error }

# What happens to it next.
next-refresh = обновление { $in }
next-refresh-or-sooner = обновление { $in } или раньше, если она, вероятно, изменится
next-refresh-once-running = обновление, когда служба будет запущена
next-nothing = ничего не запланировано; `talkmirror enqueue { $id }` поставит её в очередь
next-failed = ничего: { $ago } попытки закончились; `talkmirror queue retry { $id }` начнёт их снова
next-no-daemon = ждёт, потому что служба не запущена; её получит `talkmirror run` или `talkmirror sync`
next-no-daemon-yet = ждёт, потому что служба не запущена; её получит `talkmirror run` или `talkmirror sync`, но не раньше { $time } ({ $in })
next-paused = всё приостановлено: { $detail }; следующая проба { $in }
next-fetched-at = будет получена { $in } ({ $time })
next-first = будет получена сейчас: она первая в очереди
next-in-turn = будет получена примерно через { $span }; перед ней в очереди: { $number }

# Whether and when auto-close closes it.
closing-only-mirrored = закрываются только беседы, которые есть в зеркале
closing-kept = не закрывается: { $verdict }
closing-off = { $verdict }; автозакрытие выключено (auto_close.mode), поэтому её не закроют
closing-stopped = { $verdict }; последний обход остановлен пределом auto_close.max_share: см. `talkmirror status`
closing-obstacle = { $verdict }; { $obstacle }: ничего не закрывается
closing-held = { $verdict }; { $held }
closing-at-sweep = { $verdict }; будет закрыта при следующем обходе ({ $in }), если получение прямо перед этим покажет то же самое
closing-recorded-at-sweep = { $verdict }; при следующем обходе ({ $in }) решение будет записано, но она не будет закрыта (пробный режим), если получение прямо перед этим покажет то же самое
closing-once-running = { $verdict }; будет закрыта, когда служба будет запущена, или командой `talkmirror close { $id }`
closing-recorded-once-running = { $verdict }; решение будет записано, но она не будет закрыта (пробный режим), когда служба будет запущена, или командой `talkmirror close { $id }`

# Its timeline, as in the view talk_timeline.
event-opened = начата
event-trimmed = что было раньше, больше не хранится
event-trimmed-closed = что было раньше, больше не хранится; к тому времени закрыта
event-missed = пропущена: никто не ответил вовремя
event-answered = ответ получен
event-answered-by = ответ: { $user }
event-no-longer-missed = больше не пропущена: ответ получен
event-read = прочитана
event-unread = не прочитана: клиент написал
event-rated = оценка клиента: { $rate }
event-closed-by-talkmirror = закрыта talkmirror
event-closed-by = закрыта: { $user }
event-closed-in-the-account = закрыта в аккаунте
event-reopened = открыта снова
event-changed = изменилось что-то другое
event-gone = исчезла: API её больше не знает
event-denied = недоступна: API отказывает этому токену
event-would-close = talkmirror закрыл бы её (пробный режим): { $reason }
event-not-closed = talkmirror не стал закрывать её: { $reason }
event-refused = talkmirror получил отказ закрыть её: { $reason }
event-not-closable = talkmirror не смог закрыть её: { $reason }
event-decided = talkmirror решил закрыть её: { $reason }
user-without-name = пользователь { $id }

# What of it is not shown.
states-removed =
    { $number ->
        [one] { $number } более раннее состояние до { $time } удалено ([retention])
        [few] { $number } более ранних состояния до { $time } удалены ([retention])
        [many] { $number } более ранних состояний до { $time } удалено ([retention])
       *[other] { $number } более ранних состояния до { $time } удалены ([retention])
    }
states-earlier =
    { $number ->
        [one] { $number } более раннее состояние не показано: `{ $sql }`
        [few] { $number } более ранних состояния не показаны: `{ $sql }`
        [many] { $number } более ранних состояний не показано: `{ $sql }`
       *[other] { $number } более ранних состояния не показаны: `{ $sql }`
    }
events-earlier =
    { $number ->
        [one] { $number } более раннее событие не показано: `{ $sql }`
        [few] { $number } более ранних события не показаны: `{ $sql }`
        [many] { $number } более ранних событий не показано: `{ $sql }`
       *[other] { $number } более ранних события не показаны: `{ $sql }`
    }

# Its page.
talk-title = Беседа { $id }
talk-open-in = Открыть в { $vendor }
talk-id-expected = Беседы `{ $found }` нет: номер беседы — целое число больше 0.
talk-none = нет
talk-what-next = Что будет дальше
talk-what-next-caption = Когда беседа будет получена и закроет ли её автозакрытие
talk-next = Дальше
talk-queue = Очередь
talk-closing = Автозакрытие
talk-exempt = Исключение
talk-about = О беседе
talk-about-caption = По последним полученным данным. Имена взяты из справочников.
talk-contact = Контакт
talk-lead = Сделка
talk-stage = Этап
talk-responsible = Менеджер
talk-customer = Покупатель
talk-channel = Источник
talk-chat = Чат
talk-rating = Оценка
talk-began = Начата
talk-updated = Изменена
talk-fetched = Получена
talk-first-fetched = впервые
talk-odd = Странные поля
talk-odd-fields = { $fields }: не того вида, что описан в API; записаны как NULL
talk-timeline = Ход беседы
talk-timeline-note = Сначала старые. «Замечено при получении» — случилось не позже этого времени.
talk-timeline-empty = О её прошлом ничего не известно.
talk-seen-by-fetch = замечено при получении
talk-closings = Решения о закрытии
talk-closings-caption = Каждое решение, его причина и итог, сначала старые.
talk-closing-decided = Решено
talk-closing-outcome = Итог
talk-closing-why = Причина
talk-closing-request = Последний запрос
talk-closing-verified = закрытие замечено
talk-versions = Состояния, в которых её видели
talk-versions-caption = Каждое состояние с момента, когда его впервые показал запрос; сначала старые.
talk-version-from = С
talk-version-to = По
talk-version-state = Состояние
talk-version-missed = Пропущена
talk-version-status = Статус
talk-payload = JSON, как его прислал API
talk-payload-cut = Показаны только первые символы, всего { $characters }. Целиком:
talk-of-contact = все беседы этого контакта
talk-too-long = У этой беседы такая длинная история, что показать её здесь вовремя нельзя. Её выведет `talkmirror why { $id }`.
