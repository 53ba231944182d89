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

days =
    { $number ->
        [one] { $number } dia
       *[other] { $number } dias
    }
years =
    { $number ->
        [one] { $number } ano
       *[other] { $number } anos
    }
events =
    { $number ->
        [one] { $number } evento
       *[other] { $number } eventos
    }
states =
    { $number ->
        [one] { $number } estado
       *[other] { $number } estados
    }

size-bytes = { $number } B
size-kib = { $number } KiB
size-mib = { $number } MiB
size-gib = { $number } GiB
size-tib = { $number } TiB

# Prazos como na configuração.
exactly-seconds = { $number } s
exactly-minutes = { $number } min
exactly-hours = { $number } h
exactly-days = { $number } d

# De onde o programa fica sabendo das conversas.
feeder-refresh = atualização
feeder-listing = lista de conversas
feeder-events = eventos
feeder-past-events = eventos passados
feeder-directory = cadastros
feeder-webhook = webhooks
feeder-backfill = varredura de números

# Para que a conversa está na fila.
lane-closing = fechamento
lane-asked = a pedido
lane-hints = por eventos
lane-unmirrored = primeira vez
lane-refresh = atualização

# auto_close.mode
close-mode-off = desligado
close-mode-dry-run = modo de teste
close-mode-live = modo real

# O resultado de um fechamento, também depois de um número.
outcome-would-close = seria fechado
outcome-requested = solicitado
outcome-accepted = aguarda verificação
outcome-closed = fechado
outcome-withdrawn = cancelado
outcome-refused = recusado
outcome-failed = falhou

# Que conversas são fechadas, depois de «conversas».
stale-rules = perdidas há mais de { $missed } e sem mudanças há mais de { $unchanged }
stale-rules-work = perdidas há mais de { $missed } de expediente e sem mudanças há mais de { $unchanged }
stale-rules-only = { $rules }, só { $channels }
stale-rules-except = { $rules }, exceto { $channels }

freshness-none = não há conversa aberta no espelho
freshness = metade das conversas abertas foi obtida há no máximo { $p50 } (p50), 95 % há no máximo { $p95 } (p95), todas há no máximo { $max }

completeness-of = { $mirrored } de { $known } conversas conhecidas no espelho
completeness-more = { $mirrored } conversas no espelho, a busca continua
completeness-left = { $how }, faltam cerca de { $left }

exempt =
    { $rows ->
        [one] { $rows } linha de close_exemptions protege do fechamento: { $stale }
       *[other] { $rows } linhas de close_exemptions protegem do fechamento: { $stale }
    }
no-stale-talk = nenhuma conversa agora
stale-talks =
    { $number ->
        [one] { $number } conversa
       *[other] { $number } conversas
    }
aim-closed = para fechar
aim-decided = para decidir (modo de teste)

backfill-checked = { $done } de { $all } números verificados
backfill-ended = de { $from } a { $to }: { $checked }; terminou { $time }: { $why }
backfill-left = de { $from } a { $to }: { $checked }; faltam cerca de { $left }
backfill-began = de { $from } a { $to }: { $checked }; começou { $time }

past-events-off = desligado; lido desde { $since }: { $events }
past-events-read = lido desde { $since }, { $time }: { $events }
past-events-left = { $percent } % do tempo desde { $since } está lido: { $events }; faltam cerca de { $left }
past-events-begin = será lido desde { $since }; começou { $time }
