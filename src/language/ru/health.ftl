# Что не в порядке и что с этим делать.

# Почему всё приостановлено.
reason-unauthorized = API не принимает токен
reason-unpaid = аккаунт не оплачен
reason-blocked = аккаунт или этот адрес заблокирован
reason-rate-limited = слишком много запросов к API
reason-outage = API отвечает ошибками или недоступен
reason-unexpected-answer = API отвечает не так, как должен
reason-many-gone = API сообщает, что слишком многих сохранённых открытых бесед больше нет

what-stalled = служба не продвигается: { $why }
what-write-error = в базу данных нельзя записать: { $why }
what-pauses = всё приостановлено: { $why } ({ $detail })
what-paused = при последнем запуске всё было приостановлено: { $why } ({ $detail })
# Начинается с what-pauses.
what-probes = { $pause }; следующая проба { $time }

do-unpaid = оплатите аккаунт: talkmirror продолжит сам в течение 15 минут, а сразу — командой `talkmirror resume`
do-blocked = попросите поддержку amoCRM снять блокировку; проверьте api.base_url и кто ещё работает с этого адреса
do-start-with-probe = запустите снова (`talkmirror run` или `talkmirror sync`): работа начнётся с одной пробы
do-rate-limited = ничего: talkmirror продолжит сам; если это повторяется, уменьшите api.requests_per_second
do-unexpected-answer = откройте адрес в браузере: это страница обслуживания или входа, защитный экран, другой домен? Проверьте api.base_url. Когда API ответит как обычно, talkmirror продолжит сам
do-many-gone = проверьте в аккаунте, удалены ли эти беседы. Если да, `talkmirror resume` это примет; если нет, проверьте api.base_url и права токена
do-outage = ничего, если сбой у amoCRM: talkmirror продолжит сам; иначе проверьте сеть

what-unanswered = ни одна беседа не получена { $time }; { $feeder }: { $error }
do-unanswered = проверьте сеть и api.base_url; если аккаунт не отдаёт списков, включите вебхуки или начните с `talkmirror backfill --from ID`

what-silent = служба ничего не записывала { $minutes } мин
do-silent = посмотрите её журнал: нет места на диске или запись заняла другая программа?
what-stopped = служба остановлена { $time }, и с тех пор ничего не обновляется
do-start = запустите её снова: `systemctl start talkmirror` или `talkmirror run`
what-vanished = служба завершилась не по команде: процесс убит или выключился компьютер
do-start-again = запустите её снова: ничего не потеряно
what-neglected =
    { $number ->
        [one] { $number } беседа ждёт очереди, и никто её не получает
        [few] { $number } беседы ждут очереди, и никто их не получает
        [many] { $number } бесед ждут очереди, и никто их не получает
       *[other] { $number } беседы ждут очереди, и никто их не получает
    }
do-neglected = запустите службу (`talkmirror run`) или `talkmirror sync`
what-failed =
    { $number ->
        [one] { $number } беседу не удалось получить после нескольких попыток
        [few] { $number } беседы не удалось получить после нескольких попыток
        [many] { $number } бесед не удалось получить после нескольких попыток
       *[other] { $number } беседы не удалось получить после нескольких попыток
    }
do-failed = посмотрите `talkmirror queue list --failed`, затем `talkmirror queue retry` или `queue drop`

what-account = не подтверждено, что отвечает нужный аккаунт: { $why }; ответы 404, 403 и 204 не учитываются
do-account = проверьте api.base_url и токен: `talkmirror check` покажет, какой аккаунт отвечает
what-max-share = автозакрытие остановило обход { $time }: под закрытие попали { $stale } из { $open } открытых бесед, больше, чем разрешает auto_close.max_share
do-max-share = посмотрите `talkmirror stale`; затем измените правила или запустите `talkmirror close --yes` для одного обхода

clock-unknown = в ответе API нет Date, и часы этого компьютера не с чем сверить
clock-ahead = часы этого компьютера спешат на { $span } относительно API
clock-behind = часы этого компьютера отстают на { $span } от API
what-not-closing = { $why }: ничего не закрывается
do-clock-unknown = выясните, что убирает Date из ответов API: прокси?
do-clock = выставьте часы (NTP): служба заметит это при следующем обходе
do-clock-start = выставьте часы (NTP) и запустите службу снова
what-clock = время в базе данных опережает часы на { $span }: часы перевели назад или они шли неверно
do-clock-check = проверьте часы этого компьютера (`timedatectl`); если они верны, неверное время сменится, когда беседы будут получены снова

what-last-failure = последний запрос не удался { $time }: { $why }
no-reason = причина неизвестна
do-last-failure = ничего, если он один: его повторят; три запроса подряд без ответа приостанавливают всё

what-without-missed-at = { $without } из { $talks } последних бесед пришли без поля missed_at, без него автозакрытие не работает
do-without-missed-at = спросите поддержку amoCRM, почему GET /api/v4/talks/{"{id}"} не присылает его в этом аккаунте
what-odd-fields = необязательные поля пришли не в том виде, что описан в API, и записаны как NULL: { $fields }
odd-field = { $field } (ответов: { $answers })
do-odd-fields = `talkmirror why { $talk }` покажет последнюю такую беседу; значение есть в её payload. `DELETE FROM odd_fields` убирает это сообщение

token-expires = истекает через { $span }, { $day }
token-expired = истёк { $span } назад, { $day }
what-token = токен API { $expiry }
do-token-replace = создайте новый в настройках интеграции и положите на место старого (api.token_file): служба возьмёт его без перезапуска. Если этот файл читает только systemd, перезапустите службу
do-token = положите действующий токен в api.token_file: служба возьмёт его без перезапуска. Если этот файл читает только systemd, перезапустите службу
do-login = запустите `talkmirror login`: служба возьмёт новые токены без перезапуска; если и они не приняты, проверьте api.base_url и [api.oauth]
what-token-not-renewed = токен API нельзя продлить: { $error }
what-token-renewal = токен API ({ $expiry }) не удалось продлить: { $error }
do-token-renewal = ничего, если это пройдёт: токен продлится, как только API ответит; иначе запустите `talkmirror login`
do-token-renewal-passes = ничего, если это пройдёт: попытка повторится сама

what-disk-nearly-full = на диске с базой данных почти нет места: свободно { $free }
what-disk-fills = диск с базой данных заполнится примерно через { $span }: свободно { $free }, база растёт на { $growth } в день
do-make-room = освободите место на этом диске или остановите talkmirror и перенесите базу на больший (database.path); retention.versions удаляет старые состояния, и SQLite снова займёт их место

what-wal-grown = журнал упреждающей записи (WAL) вырос до { $size }
what-wal-grown-on = журнал упреждающей записи (WAL) вырос до { $size }, на его диске свободно { $free }
what-wal-held-by = { $grown }: { $reader } держит открытым старое состояние базы { $time }
what-wal-held = { $grown }: какая-то программа держит открытым старое состояние базы { $time }
own-backup = собственная резервная копия talkmirror
do-wal-grown = ничего, если это пройдёт за минуты, пока WAL переносится в базу; иначе посмотрите журнал службы
do-wal-backup = освободите место: WAL уменьшится сам, когда копия будет готова
do-wal-reader = завершите эту транзакцию или эту программу: WAL тогда уменьшится сам
do-wal-find = найдите эту программу (`fuser -v` с путём базы, от root) и завершите её транзакцию: WAL тогда уменьшится сам
what-write-lock = { $program } занимает запись в базу: пока ничего нельзя сохранить
do-write-lock = завершите её транзакцию; ничего не потеряно, и служба продолжит сама

what-backup-failed = резервная копия не удалась { $time }: { $error }
do-backup-failed = исправьте это; копия повторится { $time }, а сразу — по `systemctl reload talkmirror` (SIGHUP)
do-backup-failed-for-good = исправьте это; копия повторится, а сразу — по `systemctl reload talkmirror` (SIGHUP)
what-backup-overdue = резервная копия ожидалась { $time } и не сделана; { $last }
backup-last = последняя сделана { $time }
backup-none = ни одной ещё нет
do-backup-overdue = проверьте, что служба работает, и прочитайте её журнал; или сделайте копию сейчас: `talkmirror backup PATH`

with-cause = { $what }: { $error }
what-publish-unclaimed = ничего не запрашивается и не закрывается { $time }: с аккаунтом может работать другой компьютер
do-publish-unclaimed = верните сервер publish.server или сеть до него; тогда работа с аккаунтом продолжится
what-not-published = на { $server } ничего не публикуется { $time }: { $error }
do-publish-refused = исправьте это: `talkmirror check` проверит, служба пробует каждую минуту, и ничего не теряется
do-not-published = ничего, если сервер вернётся: тогда всё ждущее будет опубликовано; иначе проверьте сервер и сеть
what-publish-slow =
    { $number ->
        [one] { $server } принимает изменения медленнее, чем они приходят: { $number } беседа ждёт публикации, до { $span }
        [few] { $server } принимает изменения медленнее, чем они приходят: { $number } беседы ждут публикации, до { $span }
        [many] { $server } принимает изменения медленнее, чем они приходят: { $number } бесед ждут публикации, до { $span }
       *[other] { $server } принимает изменения медленнее, чем они приходят: { $number } беседы ждут публикации, до { $span }
    }
do-publish-slow = выясните, что замедляет сервер или сеть: блокировки, диск, дальний сервер
what-publish-left-out =
    { $number ->
        [one] { $number } беседа не публикуется на { $server }: сервер отвергает беседу { $talk } ({ $error })
        [few] { $number } беседы не публикуются на { $server }: сервер отвергает беседу { $talk } ({ $error })
        [many] { $number } бесед не публикуются на { $server }: сервер отвергает беседу { $talk } ({ $error })
       *[other] { $number } беседы не публикуются на { $server }: сервер отвергает беседу { $talk } ({ $error })
    }
do-publish-left-out = посмотрите `talkmirror publish status`: исправьте сервер, затем запустите `talkmirror publish all`; без этого каждая опубликуется при её следующем изменении
talks-wait =
    { $number ->
        [one] { $number } беседа ждёт
        [few] { $number } беседы ждут
        [many] { $number } бесед ждут
       *[other] { $number } беседы ждут
    }

what-quota-refresh = запросов не хватает: на обновление открытых бесед ({ $open }) остаётся { $spare } запроса в секунду, каждая обновляется в среднем раз в { $round }
do-quota-refresh = с api.requests_per_second = { $quota } (amoCRM разрешает 7, больше продаёт пакетами) все они обновлялись бы за час
what-quota-backlog =
    { $number ->
        [one] запросов не хватает: { $number } беседа, о которой просили или сообщили, ждёт получения, первая { $time }
        [few] запросов не хватает: { $number } беседы, о которых просили или сообщили, ждут получения, первая { $time }
        [many] запросов не хватает: { $number } бесед, о которых просили или сообщили, ждут получения, первая { $time }
       *[other] запросов не хватает: { $number } беседы, о которых просили или сообщили, ждут получения, первая { $time }
    }
do-quota-backlog = ничего, если это случилось один раз; с api.requests_per_second = { $quota } (amoCRM разрешает 7, больше продаёт пакетами) они были бы получены за 10 минут

what-config-refused = новая конфигурация не принята: { $mistakes }
do-config-refused = исправьте её и перечитайте (`systemctl reload talkmirror` или SIGHUP); пока действует прежняя
