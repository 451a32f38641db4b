"""PostgreSQL: a cluster is made; pgbench with four connections, a table of its own with joins, JSON and sorting; vacuum.

The transactions of pgbench add amounts that its seed determines, so the balances at the end do not depend on their order.
"""
import signal

BIN = "/usr/lib/postgresql/*/bin/"
NEEDS = [BIN + "postgres", BIN + "initdb", BIN + "pgbench|pgbench", "psql"]
SQL = """
create table word as select i, md5(i::text) as text, i % 97 as part from generate_series(1, 60000) i;
create index on word (text);
select count(*), max(text) from word where text like 'a%';
select part, count(*), string_agg(substr(text, 1, 2), '' order by text desc) from word group by part having part < 3 order by part;
select md5(string_agg(a.text || b.text, ',' order by a.i)) from word a join word b on a.i = b.i + 1 where a.part = 5;
select md5(jsonb_agg(jsonb_build_object('i', i, 'text', text) order by i)::text) from word where part < 20;
select i, rank() over (partition by part order by text) from word where part = 1 order by i limit 5;
update word set text = repeat(text, 20) where part = 2;
select length(string_agg(text, '')) from word;
drop table word;
"""
BALANCES = """
select sum(abalance), md5(string_agg(abalance::text, ',' order by aid)) from pgbench_accounts;
select sum(tbalance) from pgbench_tellers;
select sum(bbalance) from pgbench_branches;
select count(*), sum(delta) from pgbench_history;
vacuum full pgbench_accounts;
"""


def work(run):
    run.version = "PostgreSQL " + run.output("postgres", "--version").split()[2]
    run.output("initdb", "-D", "data", "-U", "cutback", "-A", "trust", "--no-sync", "--no-instructions")
    connection = ("-h", run.folder, "-U", "cutback")
    server = run.start("postgres", "-D", "data", "-k", run.folder, "-c", "listen_addresses=", "-c", "fsync=off",
                       "-c", "shared_buffers=64MB", "-c", "autovacuum=off")
    run.watch(server)
    run.until("starting", server, lambda: (run.folder / ".s.PGSQL.5432").exists() and
              run.start("psql", *connection, "-c", "select 1", "postgres").wait() == 0)
    run.output("pgbench", *connection, "-i", "-s", "2", "-q", "postgres")
    run.output("pgbench", *connection, "-c", "4", "-j", "2", "-t", "1000", "-n", "--random-seed=7", "postgres")
    run.say(run.output("psql", *connection, "-At", "-v", "ON_ERROR_STOP=1", "postgres", text=SQL + BALANCES))
    run.rest()
    run.stop(server, signal.SIGINT)
