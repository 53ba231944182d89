# The pages of talks, the queue, closings and feeders.

# O que há em todas as listas.
list-state = Mostrar
list-channel = Origem
list-channel-all = Todas
list-channel-none = sem origem
list-too-slow = Isso demora demais. Escolha outro filtro ou uma parte menor.
list-is-shorter = A lista não tem mais essa página. Ir para a primeira
list-ends-here = Só as primeiras { $rows } linhas aparecem. Um filtro ou a busca encontra as demais.
list-talk = Conversa { $id }
list-contact = contato { $id }
list-user = usuário { $id }
list-lead = lead { $id }
list-since = desde
list-column-talk = Conversa
list-column-client = Cliente
list-column-waiting = Espera
list-column-responsible = Responsável
list-column-state = Estado
list-column-due = Vencida
list-column-next = Próxima tentativa
list-column-failed = Falhou
list-column-attempts = Tentativas falhas
list-column-error = Último erro
list-column-outcome = Resultado
list-column-day = Dia
list-column-why = Por quê
list-column-times = Horários
list-column-feeder = Alimentador
list-column-last-run = Última execução
list-column-queued = Enfileiradas então
list-column-queued-in-all = No total
query-no-day = `{ $key }` não pode ser `{ $value }`. Um dia se escreve `2027-01-31`.
query-no-number = `{ $key }` não pode ser `{ $value }`. É o número de uma conversa.
query-no-page = `{ $key }` não pode ser `{ $value }`. As páginas vão de 1 a { $most }.

# A lista de conversas.
talks-waiting =
    { $number ->
        [one] { $number } cliente espera resposta { $lasting }.
       *[other] { $number } clientes esperam resposta, o mais antigo { $lasting }.
    }
talks-nobody-waits = Ninguém espera resposta.
talks-open = Abertas
talks-filter-waiting = Esperando
talks-missed = Perdidas
talks-failed = Não obtidas
talks-gone = Sumidas
talks-all = Todas
talks-search = Número, endereço ou nome
talks-search-button = Buscar
talks-search-end = Limpar a busca
talks-search-all = Buscar em todas as conversas
talks-search-of-all = Entre todas as conversas só se buscam números e nomes de clientes. Entre as abertas, também origens, leads e responsáveis.
talks-no-names = Os nomes dos clientes não são guardados. `directory.contacts = true` os guarda.
talks-none = Não há conversas nesta lista.
talks-none-found = Nada foi encontrado aqui para “{ $text }”.
talks-caption-waiting = Conversas e seus clientes, primeiro quem espera há mais tempo
talks-caption-latest = Conversas e seus clientes, a mais recente primeiro
list-waits-not = não
list-work-time = { $span } de expediente
list-responsible-unknown = não se sabe
list-lead-none = sem lead
list-open-chat = Abrir o chat
list-state-missed = perdida
list-state-unread = não lida
list-state-read = lida
list-state-closed = fechada
list-state-gone = sumiu: a API não a conhece mais
list-state-denied = negada a este token
list-state-not-mirrored = ainda não espelhada
list-state-failed = não pôde ser obtida
list-state-queued = na fila

# A fila.
queue-what = Conversas que esperam ser buscadas na API.
queue-due = Agora
queue-later = Depois
queue-failed = Falharam
queue-due-caption = O que pode ser buscado agora, o mais urgente primeiro
queue-later-caption = O que será repetido ou está marcado para depois, o mais próximo primeiro
queue-failed-caption = O que falhou em todas as tentativas, o mais recente primeiro
queue-none = Não há linhas da fila nesta lista.
queue-repair = Estas não são buscadas de novo sozinhas. Remova a causa e rode `talkmirror queue retry` para todas, ou `talkmirror queue retry ID` para uma. `talkmirror queue drop ID` desiste de uma.
queue-queued = enfileirada
queue-error-none = nenhum
queue-fetch-again = Para buscar de novo

# Os fechamentos.
closings-what = Cada decisão de fechar uma conversa e no que deu.
closings-caption = Decisões, a mais recente primeiro. Erros estão em inglês, como no banco.
closings-none = Não há decisões nesta lista.
closings-all = Todas
closings-under-way = em andamento
closings-all-days = Todos
closings-today = hoje
closings-dry-run = modo de teste
closings-requests =
    { $number ->
        [one] { $number } pedido
       *[other] { $number } pedidos
    }
closings-decided = decidido
closings-request-left = pedido
closings-verified = vista fechada

# O que alimenta a fila.
feeders-what = O que encontra conversas sozinho e as põe na fila.
feeders-caption = Cada um pelo nome na configuração
feeders-none = Nenhum alimentador rodou ainda.
feeders-on = ligado
feeders-off = desligado
feeders-error = erro
feeders-never = nunca
feeders-purpose-refresh = busca de novo as conversas espelhadas
feeders-purpose-listing = lê a lista de conversas
feeders-purpose-events = lê os novos eventos da conta
feeders-purpose-past-events = lê os eventos passados
feeders-purpose-directory = lê nomes; não enfileira nada
feeders-purpose-webhook = recebe webhooks da conta
feeders-purpose-backfill = percorre os números da conta
feeders-names = Nomes guardados
feeders-names-caption = Linhas que o diretório guardou
feeders-names-users = Usuários
feeders-names-pipelines = Funis
feeders-names-leads = Leads
feeders-names-contacts = Contatos
# One talk

# Whether it is stale.
ago-of-work = { $ago } ({ $work } de expediente)
verdict-stale = parada: perdida { $missed }, sem mudança há { $quiet }
kept-gone = a API informa que ela não existe
kept-denied = a API não a mostra a este token
kept-closed = já fechada
kept-status = o status dela é { $status }
kept-not-missed = não perdida
kept-missed-in-the-future = perdida no futuro, segundo o relógio deste servidor
kept-missed-lately = perdida { $missed }: ainda não passou de { $wanted }
kept-changed-in-the-future = alterada no futuro, segundo o relógio deste servidor
kept-changed-lately = alterada há { $quiet }: ainda não passou de { $wanted }
kept-without-origin = ela não tem origem
kept-origin = a origem dela, { $origin }, está excluída
exempt-by = isenta pela { $row }
perhaps-exempt-by-lead = o lead dela não é conhecido, então pode estar isenta pela { $row }
perhaps-exempt-by-contact = o contato dela não é conhecido, então pode estar isenta pela { $row }
exemption = linha { $id } de close_exemptions ({ $target })
exemption-until = linha { $id } de close_exemptions ({ $target }, até { $until } UTC)
exemption-reason = { $row }: { $reason }
target-talk = conversa { $id }
target-contact = contato { $id }
target-chat = chat { $id }
target-user = usuário { $id }
target-pipeline = funil { $id }
held-back-accepted = pedido aceito: a próxima busca mostra se ela está fechada
held-back-requested = pedido enviado: a próxima busca mostra o que aconteceu
held-back-refused = recusado há menos de um dia
held-back-failed = falhou há menos de um dia
held-back-recorded = já registrado: no modo real ela seria fechada

# Its state.
talk-open = aberta
talk-closed = fechada
talk-seen-closed = vista fechada { $ago }
talk-missed = perdida { $ago }
talk-read = lida
talk-not-read = não lida
talk-status = status { $status }
talk-gone = não existe mais: a API informou isso { $ago }
talk-denied = inacessível: a API a recusou a este token { $ago }
talk-does-not-exist = não existe, como a API informou em { $time } ({ $ago })
talk-not-mirrored = não está no espelho

# Its row in the queue.
talk-not-queued = fora da fila
talk-waits = espera { $lasting } (motivo { $reason }, prioridade { $priority })
talk-attempts-failed = { $failed } de { $most } tentativas falharam
talk-last-error = o último erro: { $error }

# What happens to it next.
next-refresh = uma atualização, { $in }
next-refresh-or-sooner = uma atualização, { $in }, ou antes se ela provavelmente mudou
next-refresh-once-running = uma atualização, quando o talkmirror estiver rodando
next-nothing = nada está previsto; `talkmirror enqueue { $id }` a coloca na fila
next-failed = nada: as tentativas acabaram { $ago }; `talkmirror queue retry { $id }` as recomeça
next-no-daemon = espera, porque o talkmirror não está rodando; `talkmirror run` ou `talkmirror sync` a busca
next-no-daemon-yet = espera, porque o talkmirror não está rodando; `talkmirror run` ou `talkmirror sync` a busca, não antes de { $time } ({ $in })
next-paused = tudo está em pausa: { $detail }; a próxima sondagem é { $in }
next-fetched-at = buscada { $in } ({ $time })
next-first = é a próxima a ser buscada
next-in-turn = buscada em cerca de { $span }: { $number } vêm antes

# Whether and when auto-close closes it.
closing-only-mirrored = só conversas do espelho são fechadas
closing-kept = não é fechada: { $verdict }
closing-off = { $verdict }; auto_close.mode está em off: ela não é fechada
closing-stopped = { $verdict }; a última varredura parou em auto_close.max_share: veja `talkmirror status`
closing-obstacle = { $verdict }; { $obstacle }: nada é fechado
closing-held = { $verdict }; { $held }
closing-at-sweep = { $verdict }; será fechada na próxima varredura ({ $in }), se uma busca logo antes mostrar o mesmo
closing-recorded-at-sweep = { $verdict }; será registrada, não fechada (modo de teste), na próxima varredura ({ $in }), se uma busca logo antes mostrar o mesmo
closing-once-running = { $verdict }; será fechada quando o talkmirror estiver rodando, ou com `talkmirror close { $id }`
closing-recorded-once-running = { $verdict }; será registrada, não fechada (modo de teste), quando o talkmirror estiver rodando, ou com `talkmirror close { $id }`

# Its timeline, as in the view talk_timeline.
event-opened = aberta
event-trimmed = o que houve antes não é mais guardado
event-trimmed-closed = o que houve antes não é mais guardado; já estava fechada
event-missed = perdida: ninguém respondeu a tempo
event-answered = respondida
event-answered-by = respondida por { $user }
event-no-longer-missed = não mais perdida: respondida
event-read = lida
event-unread = não lida: o cliente escreveu
event-rated = avaliada com { $rate } pelo cliente
event-closed-by-talkmirror = fechada pelo talkmirror
event-closed-by = fechada por { $user }
event-closed-in-the-account = fechada na conta
event-reopened = reaberta
event-changed = mudou algo além do que está acima
event-gone = não existe mais: a API não a conhece
event-denied = inacessível: a API a recusa a este token
event-would-close = o talkmirror a fecharia (modo de teste): { $reason }
event-not-closed = o talkmirror não a fechou: { $reason }
event-refused = o talkmirror teve recusado o fechamento: { $reason }
event-not-closable = o talkmirror não conseguiu fechá-la: { $reason }
event-decided = o talkmirror decidiu fechá-la: { $reason }
user-without-name = usuário { $id }

# What of it is not shown.
states-removed =
    { $number ->
        [one] 1 estado anterior, até { $time }, foi removido ([retention])
       *[other] { $number } estados anteriores, até { $time }, foram removidos ([retention])
    }
states-earlier =
    { $number ->
        [one] 1 estado anterior não é mostrado: `{ $sql }`
       *[other] { $number } estados anteriores não são mostrados: `{ $sql }`
    }
events-earlier =
    { $number ->
        [one] 1 evento anterior não é mostrado: `{ $sql }`
       *[other] { $number } eventos anteriores não são mostrados: `{ $sql }`
    }

# Its page.
talk-title = Conversa { $id }
talk-open-in = Abrir no { $vendor }
talk-id-expected = Não há conversa `{ $found }`: o id de uma conversa é um número inteiro acima de 0.
talk-none = nenhum
talk-what-next = O que vem a seguir
talk-what-next-caption = Quando ela é buscada e se o fechamento automático a fecha
talk-next = A seguir
talk-queue = Fila
talk-closing = Fechamento automático
talk-exempt = Isenção
talk-about = Sobre a conversa
talk-about-caption = Como na última busca. Os nomes são os dos cadastros.
talk-contact = Contato
talk-lead = Lead
talk-stage = Etapa
talk-responsible = Responsável
talk-customer = Cliente
talk-channel = Origem
talk-chat = Chat
talk-rating = Avaliação
talk-began = Início
talk-updated = Atualização
talk-fetched = Busca
talk-first-fetched = a primeira
talk-odd = Campos estranhos
talk-odd-fields = { $fields }: em outro formato que o documentado pela API; gravados como NULL
talk-timeline = Linha do tempo
talk-timeline-note = Os mais antigos primeiro. “Visto numa busca”: aconteceu no máximo nesse horário.
talk-timeline-empty = Nada se sabe do passado dela.
talk-seen-by-fetch = visto numa busca
talk-closings = Decisões de fechá-la
talk-closings-caption = Cada decisão com seu motivo e resultado, as mais antigas primeiro.
talk-closing-decided = Decidido
talk-closing-outcome = Resultado
talk-closing-why = Motivo
talk-closing-request = Último pedido
talk-closing-verified = vista fechada
talk-versions = Estados em que foi vista
talk-versions-caption = Cada estado desde a busca que primeiro o mostrou, os mais antigos primeiro.
talk-version-from = De
talk-version-to = Até
talk-version-state = Estado
talk-version-missed = Perdida
talk-version-status = Status
talk-payload = O JSON como a API o enviou
talk-payload-cut = Só os primeiros { $characters } caracteres são mostrados. Tudo:
talk-of-contact = todas as conversas deste contato
talk-too-long = A história desta conversa é longa demais para ser mostrada aqui a tempo. `talkmirror why { $id }` a imprime.
