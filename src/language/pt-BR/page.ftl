# As páginas: o que todas têm.
sections = Páginas
section-overview = Visão geral
section-talks = Conversas
section-queue = Fila
section-closings = Fechamentos
section-feeders = Alimentadores
skip-to-content = Ir para o conteúdo
as-of = Situação em { $time }.
footer-refreshes = Esta página se atualiza sozinha a cada { $seconds } s.
footer-all-utc = Dias e horários são UTC.
footer-zone = Os dias são de { $zone }; os horários são UTC.
footer-programs = Para programas:
footer-metrics = métricas
footer-readiness = prontidão
footer-health = saúde
title-not-reached = Sem contato
not-reached-since = Sem contato com o serviço desde { $time }. O que está abaixo valia naquele momento.

pages = Páginas desta lista
page-number = Página { $page }
page-before = Anterior
page-after = Próxima

not-found = Não encontrado
not-found-page = Não há página neste endereço.
bad-request = Não foi possível ler este endereço
query-takes-none = A chave `{ $key }` não é conhecida aqui. Esta página não tem chaves.
query-unknown-key = A chave `{ $key }` não é conhecida aqui. Esta página conhece { $known }.
query-bad-value = A chave `{ $key }` aparece duas vezes ou é longa demais.
query-unknown-value = `{ $key }` não pode ser `{ $value }`. Pode ser { $known }.

# A visão geral: a frase principal.
front-title-works = Funciona
front-title-begins = Iniciando
front-title-attention = Requer atenção
front-title-down = Não funciona
front-state-paused = Não. Tudo está em pausa: { $what }.
front-state-obstacle = Não. { $what }.
front-state-attention = Sim, mas { $what }.
front-state-begins = O serviço iniciou e aguarda a primeira resposta da API.
front-state-works = Sim, tudo funciona.
front-state-works-empty = Sim, tudo funciona. Nenhuma conversa foi espelhada ainda.
front-state-works-incomplete = Sim, tudo funciona. Nem todas as conversas foram espelhadas ainda.
front-state-unreadable = Não. Não foi possível ler o banco de dados: { $why }
front-answered = Última resposta da API: { $time }.
front-answered-never = A API ainda não respondeu.
front-closes-off = O fechamento automático está desligado.
front-closes-dry-run = O fechamento automático está em modo de teste: decide, mas não fecha nada.
front-closes-live = O fechamento automático está ativo.
front-to-do = O que há para fazer
front-what-to-do = O que fazer:

# Os números principais.
front-now = Agora
front-tile-waiting = Aguardam resposta
front-tile-missed = Perdidas
front-tile-open = Conversas abertas
front-tile-due = Na fila agora
front-tile-failed = Falhas na fila
front-tile-closed = Autofechadas hoje
front-tile-would-close = Fecharia hoje
front-longest = a mais longa há { $span }
front-fetched-within = 95 % atualizadas há { $span } ou menos
front-auto-close-off = fechamento automático desligado
front-auto-close-dry-run = modo de teste

# Os gráficos.
front-course = Ao longo do tempo
front-course-incomplete = Enquanto nem todas as conversas estão espelhadas, estes números são baixos demais: { $how }.
front-range = Período
front-range-hours = 24 horas
front-range-week = 7 dias
front-range-month = 30 dias
front-range-quarter = 90 dias
front-channel = Origem
front-channel-all = todas
front-no-such-channel = Nenhuma conversa espelhada tem a origem `{ $channel }`.
front-today = hoje
front-this-hour = nesta hora
front-so-far = (até agora)
front-last-minute = último minuto
front-chart-now = { $number } agora
front-chart-so-far = { $number } { $when }
front-chart-open = Abertas
front-chart-missed = Perdidas
front-chart-closed = Fechadas
front-chart-requests = Requisições/min
front-chart-requests-now = { $number } agora
front-chart-open-text = Conversas abertas, período de { $range }: { $now } agora; { $extremes }.
front-chart-missed-text = Conversas perdidas, período de { $range }: { $now } até agora no último, { $sum } ao todo; { $extremes }.
front-chart-closed-text = Conversas fechadas, período de { $range }: { $now } até agora no último, { $sum } ao todo; { $extremes }.
front-chart-requests-text = Requisições em cada um dos últimos { $minutes } minutos: { $last } no último completo, { $mean } em média, no máximo { $most }.
front-chart-requests-none = Nenhum minuto completo foi contado ainda.
front-extreme = { $number } ({ $time })
front-extremes = no mínimo { $least }, no máximo { $most }
front-figures = { $range } em números
front-figures-by-day = Conversas por dia, como o espelho as conhece agora.
front-figures-by-hour = Conversas por hora (UTC), como o espelho as conhece agora.
front-figures-how = Uma conversa conta como fechada no momento do evento de fechamento ou, sem evento, quando a conta a alterou pela última vez antes de o espelho vê-la fechada. Assim, uma conversa fechada há muito tempo e espelhada hoje não conta como fechada hoje.
front-column-day = Dia
front-column-hour = Hora
front-column-open-at-end = Abertas no fim
front-column-missed = Perdidas
front-column-closed = Fechadas

# Os detalhes.
front-none = não há
front-none-yet = ainda não houve
front-nothing-yet = nada ainda
front-never = nunca
front-off = desligado
front-error = Erro
front-and-more = … e mais { $number }

front-queue-caption = Conversas que aguardam leitura
front-queue-line = { $due } agora, { $later } depois, { $failed } com falha
front-queue-due = Para agora
front-queue-urgent = Destas, pedidas ou por eventos
front-queue-later = Para depois
front-queue-failed = Com falha
front-after-attempts = depois de todas as tentativas
front-the-oldest = a mais antiga { $time }
front-the-next = a próxima { $time }

front-auto-close = Fechamento automático
front-auto-close-caption = O que é feito com as conversas perdidas
front-auto-close-mode = Modo
front-dry-run-how = teste: decide, mas não fecha nada
front-closes-talks = conversas { $rules }
front-last-sweep = Última varredura
front-sweep-found = { $stale } a fechar, { $queued } na fila para { $aim }
front-decisions-today = Decisões de hoje
front-under-way = Em andamento
front-exempt-talks = Exceções
front-talk = Conversa { $id }

front-last-closings = Últimos fechamentos
front-closings-line = { $outcome }, { $time }
front-closings-none = nada foi decidido ainda
front-closings-caption =
    { $number ->
        [one] A última decisão de fechar ({ $number })
       *[other] As últimas { $number } decisões de fechar, as mais novas primeiro
    }
front-all-closings = Todos os fechamentos
front-column-talk = Conversa
front-column-outcome = Resultado
front-column-why = Motivo

front-talks-caption = Conversas espelhadas por estado
front-talks-line = { $open } abertas, { $closed } fechadas
front-talks-open = Abertas
front-talks-waiting = Destas, aguardam resposta
front-talks-missed = Destas, perdidas
front-talks-closed = Fechadas
front-talks-gone = Sumiram
front-talks-gone-why = a API informa que não existem mais
front-talks-denied = Sem acesso
front-talks-denied-why = a API as recusa a este token
front-talks-all = Todas

front-requests = Requisições e pausas
front-requests-caption = O que atrasa as requisições e como terminam
front-requests-line = { $rate } por segundo
front-requests-paused = Em pausa: { $what }
front-requests-none = Nenhuma ainda: o serviço está iniciando
front-pause = Pausa
front-next-probe = { $lasting }, próxima verificação { $time }
front-requests-rate = Requisições por segundo
front-requests-allowed = média do último minuto, de { $allowed } permitidas
front-shares = Divididas entre
front-shares-of =
    { $number ->
        [one] de { $number } requisição em 5 min
       *[other] de { $number } requisições em 5 min
    }
front-last-success = Última resposta com sucesso
front-last-failure = Última falha
front-token = Token
front-token-renewed = renova-se sozinho, última vez { $time }

front-feeders-caption = O que encontra conversas por si e as põe na fila
front-feeders-none = Nenhum rodou ainda
front-feeders-line = { $number } ligados
front-feeders-failing = { $number } com erro
front-feeder-on = ligado
front-feeder-off = desligado
front-feeder-error = erro: { $error }
front-feeder-error-since = erro { $time }: { $error }
front-all-feeders = Mais detalhes
front-column-feeder = Alimentador
front-column-last = Última vez
front-column-queued-then = Postas na fila
front-column-in-all = Ao todo

front-mirror = O espelho
front-mirror-caption = O quanto está completo e o espaço que ocupa
front-mirror-line = { $size }, versão { $version }
front-completeness = Completude
front-completeness-all =
    { $number ->
        [one] completo: { $number } conversa
       *[other] completo: { $number } conversas
    }
front-completeness-unknown = ainda não contado
front-size = Banco de dados
front-free-inside = { $size } livres por dentro
front-grows = cresce { $size } por dia
front-shrinks = diminui { $size } por dia
front-growth-none = não cresce
front-growth-unknown = crescimento por dia ainda desconhecido
front-wal = WAL
front-wal-held = retido { $time } por um leitor que daqui não se vê
front-wal-held-by = retido { $time } por { $by }
front-disk = Livre no disco
front-disk-full = cheio em cerca de { $span } neste ritmo
front-backup = Última cópia
front-backup-kept =
    { $number ->
        [one] { $number } guardada em { $path }
       *[other] { $number } guardadas em { $path }
    }
front-version = Versão
front-runs-since = processo { $pid } em execução { $time }

front-publishing = Publicação
front-publishing-caption = O que o servidor PostgreSQL tem deste espelho
front-publishing-line =
    { $number ->
        [one] { $number } conversa aguarda
       *[other] { $number } conversas aguardam
    }
front-publishing-fails = erro { $time }
front-stands-by = em espera
front-server = Servidor
front-talks-that-wait = Conversas que aguardam
front-for-up-to = há até { $span }
front-last-confirmed = Última confirmação
front-talks-left-out = Conversas recusadas
front-left-out-why = o servidor as recusa; a última, conversa { $id }: { $error }
