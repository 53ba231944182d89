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
not-reached-since = Sem contato com o programa desde { $time }. O que está abaixo valia naquele momento.

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
