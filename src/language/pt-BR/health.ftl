# O que está errado e o que fazer.

# Por que tudo está em pausa.
reason-unauthorized = a API não aceita o token
reason-unpaid = a conta não está paga
reason-blocked = a conta ou este endereço está bloqueado
reason-rate-limited = requisições demais para a API
reason-outage = a API responde com erros ou está inacessível
reason-unexpected-answer = a API não responde como deveria
reason-many-gone = a API informa que conversas abertas demais já não existem

what-stalled = o serviço não avança: { $why }
what-write-error = não é possível gravar no banco de dados: { $why }
what-pauses = tudo está em pausa: { $why } ({ $detail })
what-paused = tudo estava em pausa na última execução: { $why } ({ $detail })
# Começa com what-pauses.
what-probes = { $pause }; próxima tentativa { $time }

do-unpaid = pague a conta: o talkmirror continua sozinho em até 15 min, ou na hora com `talkmirror resume`
do-blocked = peça ao suporte da Kommo que retire o bloqueio; verifique api.base_url e quem mais usa este endereço
do-start-with-probe = inicie de novo (`talkmirror run` ou `talkmirror sync`): começa com uma única tentativa
do-rate-limited = nada: o talkmirror continua sozinho; se acontecer de novo, reduza api.requests_per_second
do-unexpected-answer = abra o endereço no navegador: é uma página de manutenção ou de login, um firewall, outro domínio? Verifique api.base_url. Quando a API responder de novo, o talkmirror continua sozinho
do-many-gone = verifique na conta se essas conversas foram excluídas. Se sim, `talkmirror resume` aceita isso; se não, verifique api.base_url e as permissões do token
do-outage = nada, se a falha é da Kommo: o talkmirror continua sozinho; senão, verifique a rede

what-unanswered = nenhuma conversa foi obtida { $time }; { $feeder }: { $error }
do-unanswered = verifique a rede e api.base_url; se a conta não oferece listas, use webhooks ou comece com `talkmirror backfill --from ID`

what-silent = o serviço não grava nada há { $minutes } min
do-silent = veja o registro dele: o disco está cheio, ou outro programa ocupa a gravação?
what-stopped = o serviço foi parado { $time }, e nada é atualizado desde então
do-start = inicie de novo: `systemctl start talkmirror` ou `talkmirror run`
what-vanished = o serviço terminou sem parada normal: o processo foi morto ou a máquina desligou
do-start-again = inicie de novo: nada se perdeu
what-neglected =
    { $number ->
        [one] { $number } conversa espera na fila e ninguém a busca
       *[other] { $number } conversas esperam na fila e ninguém as busca
    }
do-neglected = inicie o serviço (`talkmirror run`) ou `talkmirror sync`
what-failed =
    { $number ->
        [one] { $number } conversa falhou depois de várias tentativas
       *[other] { $number } conversas falharam depois de várias tentativas
    }
do-failed = veja `talkmirror queue list --failed`, depois `talkmirror queue retry` ou `queue drop`

what-account = não está confirmado que responde a conta certa: { $why }; 404, 403 e 204 são ignorados
do-account = verifique api.base_url e o token: `talkmirror check` mostra que conta responde
what-max-share = o fechamento automático interrompeu uma varredura { $time }: { $stale } de { $open } conversas abertas seriam fechadas, mais do que auto_close.max_share permite
do-max-share = veja `talkmirror stale`; depois mude as regras, ou rode `talkmirror close --yes` para uma varredura

clock-unknown = a resposta da API não traz Date para conferir o relógio desta máquina
clock-ahead = o relógio desta máquina está { $span } adiantado em relação à API
clock-behind = o relógio desta máquina está { $span } atrasado em relação à API
what-not-closing = { $why }: nada é fechado
do-clock-unknown = descubra o que tira o Date das respostas da API: um proxy?
do-clock = acerte o relógio (NTP): o serviço percebe na próxima varredura
do-clock-start = acerte o relógio (NTP) e inicie o serviço de novo
what-clock = há horários até { $span } no futuro no banco de dados: o relógio foi atrasado ou estava errado
do-clock-check = verifique o relógio desta máquina (`timedatectl`); se está certo, os horários errados são trocados conforme as conversas são obtidas de novo

what-last-failure = a última requisição falhou { $time }: { $why }
no-reason = motivo desconhecido
do-last-failure = nada, se foi só uma: ela é repetida; três seguidas sem resposta põem tudo em pausa

what-without-missed-at = { $without } das { $talks } conversas mais novas vieram sem o campo missed_at, de que o fechamento automático precisa
do-without-missed-at = pergunte ao suporte da Kommo por que GET /api/v4/talks/{"{id}"} não o envia nesta conta
what-odd-fields = campos opcionais vieram em outro formato que o documentado pela API e ficaram NULL: { $fields }
odd-field = { $field } (respostas: { $answers })
do-odd-fields = `talkmirror why { $talk }` mostra a última; o payload tem o valor. `DELETE FROM odd_fields` apaga esta mensagem

token-expires = expira em { $span }, em { $day }
token-expired = expirou há { $span }, em { $day }
what-token = o token da API { $expiry }
do-token-replace = crie um novo nas configurações da integração e ponha no lugar do antigo (api.token_file): o serviço passa a usá-lo sem reiniciar. Se só o systemd lê esse arquivo, reinicie o serviço
do-token = ponha um token válido em api.token_file: o serviço passa a usá-lo sem reiniciar. Se só o systemd lê esse arquivo, reinicie o serviço
do-login = rode `talkmirror login`: o serviço passa a usar os novos tokens sem reiniciar; se também forem recusados, verifique api.base_url e [api.oauth]
what-token-not-renewed = o token da API não pode ser renovado: { $error }
what-token-renewal = o token da API, que { $expiry }, não pôde ser renovado: { $error }
do-token-renewal = nada, se passar: o token é renovado assim que a API responder; senão, rode `talkmirror login`
do-token-renewal-passes = nada, se passar: a tentativa se repete sozinha

what-disk-nearly-full = o disco do banco de dados está quase cheio: { $free } livres
what-disk-fills = o disco do banco de dados enche em cerca de { $span }: { $free } livres, e o banco cresce { $growth } por dia
do-make-room = libere espaço nesse disco, ou pare o talkmirror e mova o banco para um maior (database.path); retention.versions remove estados antigos, e o SQLite reaproveita o espaço

what-wal-grown = o log de gravação (WAL) cresceu para { $size }
what-wal-grown-on = o log de gravação (WAL) cresceu para { $size }, com { $free } livres no disco
what-wal-held-by = { $grown }: { $reader } mantém aberto um estado antigo do banco { $time }
what-wal-held = { $grown }: algum programa mantém aberto um estado antigo do banco { $time }
own-backup = o próprio backup do talkmirror
do-wal-grown = nada, se passar em minutos, enquanto o WAL é movido para o banco; senão, veja o registro do serviço
do-wal-backup = libere espaço: o WAL diminui sozinho quando a cópia fica pronta
do-wal-reader = encerre essa transação ou esse programa: o WAL então diminui sozinho
do-wal-find = encontre esse programa (`fuser -v` com o caminho do banco, como root) e encerre a transação dele: o WAL então diminui sozinho
what-write-lock = { $program } ocupa a gravação no banco: enquanto isso, nada pode ser gravado
do-write-lock = encerre a transação dele; nada se perde, e o serviço continua sozinho

what-backup-failed = o backup falhou { $time }: { $error }
do-backup-failed = corrija isso; o backup é repetido { $time }, ou na hora com `systemctl reload talkmirror` (SIGHUP)
do-backup-failed-for-good = corrija isso; o backup é repetido, ou na hora com `systemctl reload talkmirror` (SIGHUP)
what-backup-overdue = um backup era esperado { $time } e não foi feito; { $last }
backup-last = o último foi feito { $time }
backup-none = ainda não há nenhum
do-backup-overdue = verifique se o serviço está rodando e leia o registro dele; ou faça um backup agora: `talkmirror backup PATH`

with-cause = { $what }: { $error }
what-publish-unclaimed = nada é pedido nem fechado { $time }: outra máquina pode estar trabalhando com a conta
do-publish-unclaimed = restabeleça o servidor de publish.server, ou a rede até ele; o trabalho com a conta então continua
what-not-published = nada é publicado em { $server } { $time }: { $error }
do-publish-refused = corrija isso: `talkmirror check` testa, o serviço tenta a cada minuto, e nada se perde
do-not-published = nada, se o servidor voltar: o que espera é publicado então; senão, verifique o servidor e a rede
what-publish-slow =
    { $number ->
        [one] { $server } recebe as mudanças mais devagar do que elas chegam: { $number } conversa espera publicação, há até { $span }
       *[other] { $server } recebe as mudanças mais devagar do que elas chegam: { $number } conversas esperam publicação, há até { $span }
    }
do-publish-slow = descubra o que deixa o servidor ou a rede lentos: bloqueios, o disco, um servidor distante
what-publish-left-out =
    { $number ->
        [one] { $number } conversa fica fora do que é publicado em { $server }: o servidor recusa a conversa { $talk } ({ $error })
       *[other] { $number } conversas ficam fora do que é publicado em { $server }: o servidor recusa a conversa { $talk } ({ $error })
    }
do-publish-left-out = veja `talkmirror publish status`: corrija o servidor, depois rode `talkmirror publish all`; sem isso, cada uma é publicada na próxima mudança
talks-wait =
    { $number ->
        [one] { $number } conversa espera
       *[other] { $number } conversas esperam
    }

what-quota-refresh = faltam requisições: restam { $spare } por segundo para atualizar { $open } conversas abertas, cada uma a cada { $round } em média
do-quota-refresh = com api.requests_per_second = { $quota } (a Kommo permite 7 e vende mais em pacotes) todas seriam atualizadas em uma hora
what-quota-backlog =
    { $number ->
        [one] faltam requisições: { $number } conversa pedida ou avisada espera ser obtida, a primeira { $time }
       *[other] faltam requisições: { $number } conversas pedidas ou avisadas esperam ser obtidas, a primeira { $time }
    }
do-quota-backlog = nada, se acontecer uma vez; com api.requests_per_second = { $quota } (a Kommo permite 7 e vende mais em pacotes) seriam obtidas em 10 min

what-config-refused = uma configuração mais nova foi recusada: { $mistakes }
do-config-refused = corrija e recarregue (`systemctl reload talkmirror` ou SIGHUP); a antiga continua valendo
