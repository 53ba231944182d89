"""What must hold of each of the tools: tries.py TOOL DATABASE PAGE FOLDER, started by tests/tools/run on a database
that is being written. FOLDER is for what a try leaves. Each tool reads by itself that it is written, and sees it."""

import contextlib
import html
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Another number with every fetch that is written.
MARK = "SELECT sum(fetched_at) + count(*) FROM talks"
VIEWS = "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY 1"
# Nothing has to be late for these: they are for a machine that is stuck.
DEADLINE = 60

failures = 0


@contextlib.contextmanager
def holds(fact):
    """One line that says whether something holds; where it doesn't, why."""
    global failures
    try:
        yield
        print(f"ok    {fact}", flush=True)
    except Exception as error:
        failures += 1
        print(f"FAIL  {fact}\n{type(error).__name__}: {error}", flush=True)


def expect(condition, found):
    if not condition:
        raise AssertionError(f"found {found!r}")


def changes(read, times=2):
    """Waits until what is read has changed so often."""
    end = time.monotonic() + DEADLINE
    for _ in range(times):
        before = read()
        while read() == before:
            if time.monotonic() > end:
                raise AssertionError(f"nothing is written: {before!r} for {DEADLINE} s")
            time.sleep(0.05)


def shows_old_rows(stuck, live):
    """Waits for an answer that is older than one that was given before it. (The mark only grows.)"""
    end = time.monotonic() + DEADLINE
    while True:
        now = int(live())
        # Pages that are written under it may be any mix of old and new.
        with contextlib.suppress(AssertionError, urllib.error.HTTPError):
            if int(stuck()) < now:
                return
        expect(time.monotonic() < end, "new rows alone")
        time.sleep(0.05)


def refused(action, *words):
    """Holds that something is not done, and that one of the words is why."""
    try:
        done = action()
    except Exception as error:
        expect(any(word in str(error) for word in words), str(error))
        return
    raise AssertionError(f"it was done: {done!r}")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def shell(sql, uri=None):
    """The sqlite3 shell's answer."""
    return run("sqlite3", "-readonly", "-cmd", ".timeout 5000", uri or database, sql)


def snippets(tool):
    """The blocks of code that the page has in its section of the tools, where a bold word names this one; on the
    database here."""
    section = re.search(r"^(#+) With your tools\n(.*?)(?=^#{1,3} |\Z)", page.read_text(), re.M | re.S)
    if not section:
        raise AssertionError(f"{page} has no section “With your tools”")
    parts = re.split(r"^\*\*(.+?)\*\*", section[2], flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2])).get(tool, "")
    blocks = [re.sub(r"^    ", "", block, flags=re.M).strip("\n") for block in
              re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", found, re.M)]
    if not blocks:
        raise AssertionError(f"{page} has no code under “**{tool}**”")
    return [block.replace("/var/lib/talkmirror/talks.db", database)
            .replace("/usr/share/doc/talkmirror/", f"{ROOT}/")
            .replace("tools/bin/", "") for block in blocks]


def installs_what_is_tried(block):
    """Holds that what the page has pip install is in the versions that are tried here."""
    pins = (ROOT / "tests/tools/requirements.txt").read_text().split()
    named = [word for word in block.replace("\\\n", " ").split() if "==" in word]
    expect(named and all(word in pins for word in named), named)


def sqlite3_shell():
    with holds("sqlite3: the database is being written"):
        changes(lambda: shell(MARK))
    with holds("sqlite3: it is in WAL mode"):
        expect(shell("PRAGMA journal_mode") == "wal", shell("PRAGMA journal_mode"))
    for block in snippets("sqlite3"):
        with holds(f"sqlite3: as the page says: {block.splitlines()[0][:60]}…"):
            expect(run("bash", "-euc", block), "no answer")
    with holds("sqlite3: each view answers"):
        for view in shell(VIEWS).split():
            shell(f"SELECT count(*) FROM (SELECT * FROM {view})")
    with holds("sqlite3: .schema says what a column is, of a table and of a view"):
        expect(re.search(r"missed_at .*-- when it was missed", shell(".schema talks")), shell(".schema talks"))
        expect(re.search(r"AS missed,.*-- \w+", shell(".schema missed_by_day")), shell(".schema missed_by_day"))
    with holds("sqlite3: nothing is written by it"):
        refused(lambda: shell("INSERT INTO talk_queue (talk_id) VALUES (1)"), "readonly")
    if may_only_read:
        with holds("sqlite3: nor without -readonly"):
            refused(lambda: run("sqlite3", database, "INSERT INTO talk_queue (talk_id) VALUES (1)"), "readonly")
    with holds("sqlite3: immutable=1 shows old rows and no error, while others see new ones"):
        shows_old_rows(lambda: shell(MARK, f"file:{database}?immutable=1"), lambda: shell(MARK))


def python():
    import sqlite3

    import pandas

    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    with holds("Python: the database is being written, and an open connection sees it"):
        changes(lambda: connection.execute(MARK).fetchone())
    for number, block in enumerate(snippets("Python")):
        with holds(f"Python: as the page says, block {number + 1}"):
            if "pip install" in block:
                installs_what_is_tried(block)
            else:
                expect(run(sys.executable, "-c", block), "no answer")
    with holds("pandas: times are times, in UTC"):
        times = {name: {"unit": "s", "utc": True} for name in ("created_at", "missed_at")}
        talks = pandas.read_sql("SELECT talk_id, created_at, missed_at FROM talks", connection, parse_dates=times)
        iso = pandas.read_sql("SELECT talk_id, created_at FROM talks_iso", connection, parse_dates=["created_at"])
        both = talks.merge(iso, on="talk_id")
        expect(len(both) >= 400 and (both.created_at_x == both.created_at_y).all(), both)
        expect(str(talks.missed_at.dtype).endswith("UTC]") and talks.missed_at.notna().any(), talks.dtypes)
    with holds("pandas: each view is read"):
        for (view,) in connection.execute(VIEWS).fetchall():
            expect(len(pandas.read_sql(f"SELECT * FROM {view} LIMIT 10", connection).columns) > 2, view)
    with holds("Python: nothing is written by it"):
        refused(lambda: connection.execute("INSERT INTO talk_queue (talk_id) VALUES (1)"), "readonly")
        # Python has begun a transaction for it, which would see this one state from here on.
        connection.rollback()
    with holds("Python: the database is written still"):
        changes(lambda: connection.execute(MARK).fetchone())
    connection.close()


def duckdb():
    import duckdb
    import duckdb_extension_sqlite_scanner

    extension = next(pathlib.Path(duckdb_extension_sqlite_scanner.__file__).parent.rglob("*.duckdb_extension"))
    connection = duckdb.connect()
    ask = lambda sql: connection.sql(sql).fetchall()
    with holds("DuckDB: the extension is loaded by its path, and no other"):
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"ATTACH '{database}' AS mirror (TYPE sqlite, READ_ONLY)")
        # As the page says: else each thread reads a state of its own.
        connection.execute("SET sqlite_disable_multithreaded_scans = true")
    mark = lambda: ask("SELECT sum(fetched_at) + count(*) FROM mirror.talks")
    with holds("DuckDB: the database is being written, and an open connection sees it"):
        changes(mark)
    for number, block in enumerate(snippets("DuckDB")):
        with holds(f"DuckDB: as the page says, block {number + 1}"):
            if "pip install" in block:
                installs_what_is_tried(block)
            else:
                expect(run(sys.executable, "-c", block), "no answer")
    with holds("DuckDB: the columns of tables have their types"):
        kinds = dict(ask("SELECT column_name, column_type FROM (DESCRIBE mirror.talk_versions)"))
        expect(kinds["missed_at"] == "BIGINT" and kinds["origin"] == "VARCHAR", kinds)
    with holds("DuckDB: a transaction sees one state, and every row of it"):
        connection.execute("BEGIN")
        before = mark()
        for table in "talks", "talk_versions":
            inside = ask(f"SELECT count(talk_id), sum(talk_id) FROM mirror.{table}")[0]
            same = ask(f"FROM sqlite_query('mirror', 'SELECT count(*), sum(talk_id) FROM {table}')")[0]
            expect(tuple(map(int, inside)) == tuple(map(int, same)), (inside, same))
        changes(lambda: shell(MARK))
        expect(mark() == before, (before, mark()))
        connection.execute("COMMIT")
        expect(mark() != before, before)
    with holds("DuckDB: sqlite_query answers from each view, in text"):
        for view in shell(VIEWS).split():
            query = f"FROM sqlite_query('mirror', 'SELECT * FROM {view} LIMIT 10')"
            ask(query)
            kinds = ask(f"SELECT DISTINCT column_type FROM (DESCRIBE {query})")
            expect(kinds == [("VARCHAR",)], (view, kinds))
        expect(ask("FROM sqlite_query('mirror', 'SELECT * FROM missed_by_day')"), "no row of missed_by_day")
    # What the page says does not work: where it does some day, the page is to be corrected.
    with holds("DuckDB: views by their own name, SHOW TABLES and count(*) of talk_history fail, as the page says"):
        refused(lambda: ask("FROM mirror.missed_by_day"), "Parser Error")
        refused(lambda: ask("SHOW ALL TABLES"), "Parser Error")
        refused(lambda: ask("SELECT count(*) FROM mirror.talk_history"), "ROWID")
    with holds("DuckDB: nothing is written by it"):
        refused(lambda: ask("DELETE FROM mirror.talks"), "read-only")
        refused(lambda: ask("FROM sqlite_query('mirror', 'DELETE FROM talks RETURNING 1')"), "readonly", "read-only")
    with holds("DuckDB: the database is written still"):
        changes(mark)


class Site:
    """A Datasette."""

    def __init__(self, command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / f"datasette-{self.port}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["bash", "-euc", f"exec {command} --port {self.port}"], stdout=log, stderr=log)
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.get("/-/versions.json")
                return
            time.sleep(0.1)
        raise AssertionError(f"Datasette does not answer: {self.log.read_text()}")

    def get(self, path, data=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=DEADLINE) as answer:
            expect(answer.status == 200, answer.status)
            return answer.read().decode()

    def rows(self, sql):
        return json.loads(self.get("/talks.json?_shape=array&" + urllib.parse.urlencode({"sql": sql})))

    def mark(self):
        return self.rows(MARK.replace(" FROM", " AS mark FROM"))[0]["mark"]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def page_in_chromium(site, path, name):
    """What Chromium makes of a page, which it can load from there alone; its screenshot is left in the folder."""
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", f"--user-data-dir={folder}/chromium", "--window-size=1200,2000",
                "--virtual-time-budget=20000", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    url = f"http://127.0.0.1:{site.port}{path}"
    run(*chromium, f"--screenshot={folder}/{name}.png", url)
    expect((folder / f"{name}.png").stat().st_size > 10_000, "an empty screenshot")
    return run(*chromium, "--dump-dom", url)


MANAGER = "manager<img src=x onerror=\"document.title='taken'\">"


def with_names():
    """A Datasette on a copy with odd names of leads, clients, managers and pipelines, and with a table of somebody's own."""
    copy = folder / "named" / "talks.db"
    copy.parent.mkdir()
    shell(f".backup '{copy}'")
    name = "'" + MANAGER.replace("'", "''") + "'"
    run("sqlite3", copy, f"""
        CREATE TABLE own_notes (note TEXT); ANALYZE;
        DELETE FROM users; DELETE FROM pipelines; DELETE FROM leads; DELETE FROM contacts;
        INSERT INTO users (user_id, name, fetched_at) VALUES (1, {name}, 1);
        INSERT INTO pipelines (pipeline_id, name, fetched_at) VALUES (1, {name}, 1);
        INSERT INTO leads (lead_id, name, responsible_user_id, pipeline_id, fetched_at)
        SELECT DISTINCT lead_id, {name}, 1, 1, 1 FROM talks WHERE lead_id IS NOT NULL;
        INSERT INTO contacts (contact_id, name, fetched_at)
        SELECT DISTINCT contact_id, {name}, 1 FROM talks WHERE contact_id IS NOT NULL;""")
    return Site(snippets("Datasette")[1].replace("\\\n", " ").replace(str(database), str(copy)))


def datasette():
    import yaml

    install, serve = snippets("Datasette")
    with holds("Datasette: the page has pip install what is tried"):
        installs_what_is_tried(install)
    metadata = yaml.safe_load((ROOT / "contrib/datasette.yaml").read_text())
    described, queries = (metadata["databases"]["talks"][key] for key in ("tables", "queries"))
    dashboards = metadata["plugins"]["datasette-dashboards"]
    site = Site(serve.replace("\\\n", " "))
    with holds("Datasette: started as the page says, it serves a database that is being written, and sees it"):
        changes(site.mark)
    with holds("Datasette: its first page and that of the database"):
        expect("talkmirror" in site.get("/"), "no title")
        listed = html.unescape(site.get("/talks"))
        expect(all(query["title"] in listed for query in queries.values()), listed)
    with holds("Datasette: tables and views are listed in the order of the file, the internal ones folded and last"):
        places = [listed.find(f'href="/talks/{name}">{name}<') for name in described]
        folded = listed.find('<details class="internal">')
        expect(-1 not in places and places == sorted(places), dict(zip(described, places)))
        for name, place in zip(described, places):
            expect((place > folded) == described[name].get("hidden", False), name)
    with holds("Datasette: each table and view says what its columns are, folded"):
        for name, table in described.items():
            shown = html.unescape(site.get(f"/talks/{name}"))
            silent = [text for text in (table["title"], table["description"], *table["columns"].values())
                      if text not in shown]
            expect(not silent, (name, silent))
            expect(re.search(r'<details class="columns"><summary>[^<]+</summary><dl class="column-descriptions">'
                             r".*?</dl></details>", shown, re.S), name)
            columns = {row["name"] for row in site.rows(f"SELECT name FROM pragma_table_info('{name}')")}
            expect(columns == set(table["columns"]), (name, columns))
    with holds("Datasette: each question is answered"):
        talk = site.rows("SELECT max(talk_id) AS id FROM talks")[0]["id"]
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        given = {"talk_id": talk, "origin": "telegram", "days": 7, "time": now}
        for name in queries:
            for parameters in "", "&" + urllib.parse.urlencode(given):
                rows = json.loads(site.get(f"/talks/{name}.json?_shape=array{parameters}"))
                expect(rows, f"no row of {name} {parameters}")
            expect(html.escape(queries[name]["title"], quote=False) in site.get(f"/talks/{name}"), name)
        rows = json.loads(site.get("/talks/as-of.json?_shape=array&time=yesterday"))
        expect(rows[0]["origin"].startswith("not a time"), rows)
    with holds("Datasette: each question has its chart, of columns that its answer has"):
        charts = {name: chart for board in dashboards.values() for name, chart in board["charts"].items()}
        expect(set(charts) == set(queries), set(charts) ^ set(queries))
        plain = lambda sql: re.sub(r"\s+", " ", sql)
        for name, chart in charts.items():
            link = re.search(r'href="\.\.(/-/dashboards/[^"]+)"', queries[name]["description_html"])[1]
            expect(chart["title"] == queries[name]["title"], name)
            expect(html.escape(chart["title"], quote=False) in site.get(link), link)
            if chart["library"] == "table":
                # With its question's SQL inside. What it makes of it is tried below.
                expect(f"FROM ( {plain(queries[name]['sql'])} )" in plain(chart["query"]), name)
                continue
            expect(chart["query"] == queries[name]["sql"], name)
            answer = set(site.rows(chart["query"])[0])
            for step in chart["display"].get("transform", []):
                answer |= {step["as"]} if "calculate" in step else set(step.get("as", []))
            fields = {axis["field"] for axis in chart["display"]["encoding"].values()}
            expect(fields <= answer, (name, fields, answer))
    with holds("Datasette: Chromium draws the charts, with nothing from elsewhere"):
        for board, what in dashboards.items():
            drawn = page_in_chromium(site, f"/-/dashboards/{board}", f"charts-{board}")
            marks = [svg for svg in re.findall(r"<svg.*?</svg>", drawn, re.S) if 'class="marks"' in svg]
            full = [svg for svg in marks if re.search(r'aria-roledescription="(bar|circle|line|point|area|rect)', svg)]
            tables = len(re.findall(r"<tbody><tr>", drawn))
            expect(len(full) + tables == len(what["charts"]), (board, len(marks), len(full), tables))
        expect("waiting_seconds" in page_in_chromium(site, "/talks/open_talks", "table"), "no column")
        expect("Chart" in page_in_chromium(site, "/talks/missed-lately", "question"), "no link to the chart")
    with holds("Datasette: the number of a talk leads to its page, and that into the account"):
        expect(f'<a href="/-/dashboards/talk?talk_id={talk}">{talk}</a>' in
               site.get(f"/talks/talks_iso?talk_id={talk}"), "no link in a view")
        expect('<a href="/-/dashboards/talk?talk_id=' in site.get("/talks/who-waits"), "no link in an answer")
        led = site.rows("SELECT talk_id, chat_url FROM open_talks WHERE chat_url IS NOT NULL LIMIT 1")[0]
        drawn = page_in_chromium(site, f"/-/dashboards/talk?talk_id={led['talk_id']}", "talk")
        expect(f'<a href="{led["chat_url"]}">' in drawn, drawn)
        expect("opened" in drawn, drawn)
    with holds("Datasette: a talk that is not there, and none at all, are answered in words"):
        for number, words in ("987654321", "There is no talk 987654321"), ("", "Give the number of a talk"):
            expect(words in page_in_chromium(site, f"/-/dashboards/talk?talk_id={number}", "no-talk"), words)
    with holds("Datasette: managers, pipelines and clients have their names, and no name is HTML"):
        named = with_names()
        expect({"manager": MANAGER} in named.rows("SELECT DISTINCT responsible_user AS manager FROM responses"),
               "no response of the manager")
        for name in "by-manager", "manager-times":
            for manager in MANAGER, "(not known)":
                chosen = urllib.parse.urlencode({"_shape": "array", "manager": manager})
                rows = json.loads(named.get(f"/talks/{name}.json?{chosen}"))
                expect([row["manager"] for row in rows] == [manager], rows)
        talk = named.rows("SELECT talk_id FROM open_talks WHERE responsible_user IS NOT NULL LIMIT 1")[0]["talk_id"]
        for path in ("/-/dashboards/overview", "/-/dashboards/managers", f"/-/dashboards/talk?talk_id={talk}",
                     "/talks/who-waits", f"/talks/talk?talk_id={talk}", "/talks/open_talks", "/talks/users",
                     "/-/dashboards/talk?" + urllib.parse.urlencode({"talk_id": MANAGER})):
            drawn = page_in_chromium(named, path, "names")
            expect("manager&lt;img src=x" in drawn or "manager%3Cimg" in drawn, (path, "no name", drawn))
            expect("<img" not in drawn and "<title>taken" not in drawn, (path, "a name is HTML"))
    with holds("Datasette: somebody's own table is listed, and SQLite's are folded"):
        ours, theirs = named.get("/talks").split('<details class="internal">')
        expect(">own_notes<" in ours and "sqlite_stat" not in ours and ">sqlite_stat1<" in theirs, ours)
        named.stop()
    with holds("Datasette: nothing is written by it"):
        write = "INSERT INTO talk_queue (talk_id) VALUES (987654321)"
        refused(lambda: site.rows(write), "400")
        for path in "/talks", "/talks/talk_queue":
            refused(lambda: site.get(path, urllib.parse.urlencode({"sql": write, "talk_id": 987654321}).encode()),
                    "403", "405", "500")
        written = site.rows("SELECT talk_id FROM talk_queue UNION SELECT talk_id FROM tombstones")
        expect({"talk_id": 987654321} not in written, written)
        expect(not any(query.get("write") for query in queries.values()), "a question that writes")
    with holds("Datasette: a question without end is cut off, and so is an answer"):
        count = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT {} FROM c"
        refused(lambda: site.rows(count.format("max(i)")), "400")
        expect(len(site.rows(count.format("i") + " LIMIT 100000")) == 2000, "another number of rows")
    with holds("Datasette: with --immutable it shows old rows and no error"):
        stuck = Site(f"datasette serve --immutable '{database}'")
        shows_old_rows(stuck.mark, site.mark)
        stuck.stop()
    with holds("Datasette: the database is written still"):
        changes(site.mark)
    site.stop()


if len(sys.argv) > 1:
    tool, database, page, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    may_only_read = os.environ.get("MAY_ONLY_READ", "0") != "0"
    with holds(f"{tool}: tried to the end"):
        {"sqlite3": sqlite3_shell, "python": python, "duckdb": duckdb, "datasette": datasette}[tool]()
    sys.exit(failures > 0)
