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
       *[other] { $number } clientes esperam resposta, o que espera há mais tempo { $lasting }.
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
closings-caption = Decisões, a mais recente primeiro. Motivos e erros estão em inglês, como no banco.
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
