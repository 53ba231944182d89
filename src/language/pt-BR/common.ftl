# O que se usa em toda parte: unidades, tempos, quantidades.
verbatim = { $text }

duration-seconds = { $number } s
duration-minutes = { $number } min
duration-hours = { $number } h
duration-days = { $number } d

time-ago = há { $span }
time-in-the-future = { $span } no futuro
time-for = há { $span }
time-since = desde { $time }
time-now = agora
time-in = em { $span }

day-of-month = { $day } de { $month }
month-1 = jan.
month-2 = fev.
month-3 = mar.
month-4 = abr.
month-5 = mai.
month-6 = jun.
month-7 = jul.
month-8 = ago.
month-9 = set.
month-10 = out.
month-11 = nov.
month-12 = dez.

talks =
    { $number ->
        [one] { $number } conversa
       *[other] { $number } conversas
    }
