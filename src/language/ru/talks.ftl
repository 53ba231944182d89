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
list-state-denied = закрыта для этого токена
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
closings-caption = Решения, сначала последние. Причины и ошибки — на английском, как в базе.
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
