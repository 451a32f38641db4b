"""MariaDB: a data folder is made; four connections write, then joins, sorting, JSON, and a change of a table's layout."""
import signal
import threading

NEEDS = ["mariadbd", "mariadb-install-db", "mariadb"]
TABLES = """
create database test;
use test;
create table word (i int primary key, text varchar(700), part int, key (part), key (text(12))) engine=innodb;
"""
QUERIES = """
select count(*), sum(i), max(text) from word where text like 'a%';
set session group_concat_max_len = 10000000;
select part, count(*), md5(group_concat(text order by text desc)) from word group by part order by part limit 20;
select md5(group_concat(a.text, b.text order by a.i)) from word a join word b on a.i = b.i + 4 where a.part = 5;
select md5(json_arrayagg(json_object('i', i, 'text', text) order by i)) from word where part < 30;
select i, rank() over (partition by part order by text) as place from word where part = 1 order by i limit 5;
with recursive n as (select 1 as i union all select i + 1 from n where i < 5000) select sum(i * i) from n;
alter table word add column more text, algorithm=copy;
update word set more = repeat(text, 5) where part < 10;
checksum table word;
drop table word;
"""


def work(run):
    run.version = run.output("mariadbd", "--no-defaults", "--version").split(" Ver ")[1].split(" for ")[0]
    run.version = "MariaDB " + run.version.removesuffix("-MariaDB").split("-MariaDB")[0].strip()
    run.output("mariadb-install-db", "--no-defaults", f"--datadir={run.folder}/data", "--skip-test-db",
               "--auth-root-authentication-method=normal", "--skip-name-resolve")
    socket = run.folder / "socket"
    server = run.start("mariadbd", "--no-defaults", f"--datadir={run.folder}/data", f"--socket={socket}",
                       "--skip-networking", f"--pid-file={run.folder}/pid", "--innodb-buffer-pool-size=32M",
                       "--innodb-flush-log-at-trx-commit=0")
    run.watch(server)

    def client(sql):
        return run.output("mariadb", "--no-defaults", f"--socket={socket}", "-u", "root", "-N", "-B", text=sql)

    def fill(n):
        rows = ((i, f"md5('{i}')", i * 7919 % 97) for i in range(n, 40000, 4))
        lines = [f"({i}, {text}, {part})" for i, text, part in rows]
        client("use test;" + "".join(f"insert into word values {','.join(lines[at:at + 200])};" for at in range(0, len(lines), 200)))

    run.until("starting", server, socket.exists)
    client(TABLES)
    writers = [threading.Thread(target=fill, args=[n]) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    run.say(client("use test;" + QUERIES))
    run.rest()
    run.stop(server, signal.SIGTERM)
