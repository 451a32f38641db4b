#!/bin/bash
# sqlite3: 100,000 rows, indexes, joins, aggregates, an update, a delete and a vacuum, in a file.
. "$(dirname "$0")/common.sh"
need sqlite3
cat >"$input/a.sql" <<'END'
PRAGMA synchronous = OFF;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, town INTEGER, born INTEGER);
CREATE TABLE town (id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO town SELECT i, 'town ' || (i * 7919 % 1000) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO person SELECT i, printf('name %x %s', i * 2654435761 % 4294967296, substr('abcdefghijklmnopqrstuvwxyz', i % 20, i % 7)),
    i * 31 % 1000 + 1, 1900 + i * 17 % 120 FROM n;
CREATE INDEX person_name ON person (name);
CREATE INDEX person_town ON person (town, born);
SELECT count(*), sum(length(name)) FROM person;
SELECT town.name, count(*), min(person.name), max(born), group_concat(person.id % 10, '')
    FROM person JOIN town ON town.id = person.town GROUP BY town.id ORDER BY town.name, town.id LIMIT 60;
SELECT a.name, b.name FROM person a JOIN person b ON a.town = b.town AND a.born = b.born AND a.id < b.id
    ORDER BY a.name, b.name LIMIT 50;
SELECT born, count(DISTINCT town), total(id) FROM person WHERE name LIKE 'name 1%' GROUP BY born ORDER BY 2 DESC, 1 LIMIT 30;
UPDATE person SET name = upper(name) || name WHERE id % 3 = 0;
DELETE FROM person WHERE id % 5 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT name, rank() OVER (ORDER BY born, name) FROM person ORDER BY name DESC LIMIT 40;
SELECT count(*), sum(length(name)) FROM person;
END
work() {
    sqlite3 -batch a.db <"$input/a.sql" && sqlite3 a.db .dump | cksum
}
same
mapped sqlite3
