# The pages: what all of them have around their content.
sections = Pages
section-overview = Overview
section-talks = Talks
section-queue = Queue
section-closings = Closings
section-feeders = Feeders
skip-to-content = Skip to the content
as-of = As of { $time }.
footer-refreshes = This page refreshes itself every { $seconds } s.
footer-all-utc = Days and times are UTC.
footer-zone = Days are those of { $zone }, times are UTC.
footer-programs = For programs:
footer-metrics = metrics
footer-readiness = readiness
footer-health = health
title-not-reached = Not reached
not-reached-since = The daemon has not been reached since { $time }. What is below was true then.

pages = Pages of this list
page-number = Page { $page }
page-before = Previous page
page-after = Next page

not-found = Not found
not-found-page = There is no page at this address.
bad-request = This address cannot be read
query-takes-none = `{ $key }` is unknown here. This page takes no keys.
query-unknown-key = `{ $key }` is unknown here. This page knows { $known }.
query-bad-value = `{ $key }` is there twice or is too long.
query-unknown-value = `{ $key }` cannot be `{ $value }`. It can be { $known }.
