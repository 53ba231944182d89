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
