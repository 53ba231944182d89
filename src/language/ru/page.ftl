# Страницы: что есть на каждой из них.
sections = Страницы
section-overview = Обзор
section-talks = Беседы
section-queue = Очередь
section-closings = Закрытия
section-feeders = Источники очереди
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
not-reached-since = Связи с программой нет с { $time }. Ниже — то, что было верно тогда.

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
