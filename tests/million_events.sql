-- Five events for each talk of `told`: it began, was answered, was missed if it was, was answered again, and was closed.
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at, talk_id * 10), talk_id, 'talk_created', created_at, NULL FROM told;
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at + 600, talk_id * 10 + 1), talk_id, 'conversation_answered', created_at + 600, 500 + dice FROM told;
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at + 901, talk_id * 10 + 2), talk_id, 'talk_missed_event', created_at + 901, NULL FROM told WHERE dice < 30;
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at + 902, talk_id * 10 + 3), talk_id, 'conversation_answered', created_at + 902, 500 + dice FROM told WHERE dice >= 30;
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at + 950 + wait, talk_id * 10 + 4), talk_id, 'conversation_answered', created_at + 950 + wait, 500 + dice FROM told WHERE NOT open;
INSERT INTO talk_events SELECT printf('01h%07x%016x', created_at + 980 + wait, talk_id * 10 + 5), talk_id, 'talk_closed', created_at + 980 + wait, 500 + dice FROM told WHERE NOT open;
