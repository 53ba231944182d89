# O comando status.

# Os nomes das linhas.
status-mirror = Espelho
status-account = Conta
status-database = Banco de dados
status-size = Tamanho
status-history = Histórico
status-wal = WAL
status-daemon = Serviço
status-requests = Requisições
status-last-failure = Última falha
status-paused = Pausa
status-token = Token
status-talks = Conversas
status-freshness = Atualidade
status-queue = Fila
status-shares = Partes
status-backup = Backup
status-publishing = Publicação
status-closing = Fechamento
status-exempt = Exceções
status-closures = Decisões

status-off = desligado
status-none-yet = ainda nenhum
status-error = erro: { $error }
status-error-since = erro { $time }: { $error }

status-healthy = tudo certo
status-incomplete = tudo certo, mas incompleto: { $how }
status-not-healthy = há problemas: { $number } a verificar, { $see }
status-see-below = veja abaixo
status-see-above = veja acima

status-account-unknown = ainda não conhecida
status-account-doubted = { $account }; não confirmada, { $see }
status-account-confirmed = { $account }; confirmada { $time }

status-size-whole = { $size }
status-size-free-inside = { $size } ({ $free } livres dentro)
status-growth-unknown = crescimento por dia ainda não conhecido
status-no-growth = não cresce
status-grows = cresce { $size } por dia
status-shrinks = diminui { $size } por dia
status-size-line = { $stored }; { $growth }
status-disk-free = { $line }; { $free } livres no disco
status-disk-full = { $line }: cheio em cerca de { $span }

status-removed-after = estados que terminaram há mais de { $span } são removidos
status-retention-not-now = agora não: { $why }
status-retention-runs = rodando { $time }, { $number } removidos até agora
status-retention-last = última vez { $time }: { $number } removidos
status-retention-none = ainda não foi feito

status-wal-held = retido { $time } por { $by }
status-wal-invisible = um programa que não se vê daqui: `fuser -v { $path }`

status-daemon-never = nunca rodou aqui
status-daemon-runs = rodando ({ $command }, processo { $process }) { $since }; último sinal { $seen }
status-daemon-silent = rodando ({ $command }), mas em silêncio; último sinal { $seen }
status-daemon-stopped = não está rodando; parado { $time } ({ $command })
status-daemon-vanished = não está rodando; último sinal { $seen } ({ $command })

status-request-rate = { $rate } por segundo de { $allowed } permitidas; último sucesso { $last }
status-failed = { $time }: { $why }
status-pause = { $time }: { $why }; próxima tentativa { $next }
status-token-renewed = { $expiry }; renova-se sozinho, última vez { $time }

status-talk-counts = { $total }: { $open } abertas ({ $missed } perdidas), { $closed } fechadas, { $gone } excluídas; { $denied } sem acesso

status-queue-due = { $number } agora
status-queue-later = { $number } depois
status-queue-failed = { $number } com falha
status-queue-with = { $count } ({ $remark })
status-queue-oldest = a primeira { $time }
status-queue-next = a próxima { $time }

status-share = { $lane } { $percent } %
status-shared =
    { $number ->
        [one] { $shares } de { $number } requisição em 5 min
       *[other] { $shares } de { $number } requisições em 5 min
    }

status-feeder-none-read = nada foi lido ainda
status-feeder-nothing-read = ligado, nada foi lido ainda
status-feeder-read = última leitura { $time }
status-feeder-begins = ligado, a primeira passada não terminou; { $all } na fila até agora
status-feeder-ran = última vez { $time }: { $found } na fila ({ $all } ao todo)

status-backup-last = último { $time }: { $path }, { $size }
status-backup-none = ainda nenhum, pasta { $path }
status-backup-failing = falhando { $time }: { $error }
status-backup-kept = guardam-se os últimos { $number }
status-backup-line = { $last }; { $kept }
status-backup-next = { $last }; próximo { $time }; { $kept }

status-publish-later = em { $server }, enquanto o serviço roda
status-publish-standby = de reserva para { $server }: { $error }
status-publish-done = todas as mudanças estão publicadas
status-publish-waits = { $wait }, há até { $span }
status-publish = em { $server }: { $wait }
status-publish-left-out = em { $server }: { $wait }; de fora: { $talks }

status-no-sweep = nenhuma varredura ainda
status-sweep = última varredura { $time }: { $stale } a fechar, { $queued } na fila
status-auto-close = { $mode }, conversas { $rules }; { $swept }
status-exempt-see = { $exempt }; veja `talkmirror exempt list`
status-outcome = { $outcome } { $number }
status-today = hoje ({ $zone }): { $outcomes }
status-none-today = hoje ({ $zone }) nenhuma
status-under-way = { $today }; { $number } em andamento

# status --watch
status-watch-foot = { $time } UTC; q sai
status-watch-more =
    { $number ->
        [one] … mais { $number } linha; { $foot }
       *[other] … mais { $number } linhas; { $foot }
    }
