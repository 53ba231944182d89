# What is used everywhere: units, times, numbers of things.
verbatim = { $text }

duration-seconds = { $number } s
duration-minutes = { $number } min
duration-hours = { $number } h
duration-days = { $number } d

time-ago = { $span } ago
time-in-the-future = { $span } in the future
time-for = for { $span }
time-since = since { $time }
time-now = now
time-in = in { $span }

day-of-month = { $day } { $month }
month-1 = Jan
month-2 = Feb
month-3 = Mar
month-4 = Apr
month-5 = May
month-6 = Jun
month-7 = Jul
month-8 = Aug
month-9 = Sep
month-10 = Oct
month-11 = Nov
month-12 = Dec

talks =
    { $number ->
        [one] { $number } talk
       *[other] { $number } talks
    }
