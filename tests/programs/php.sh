#!/bin/bash
# php: it opens its extensions with RTLD_DEEPBIND. Strings, arrays, regular expressions, XML, SQLite, a forked child.
. "$(dirname "$0")/common.sh"
need php
for extension in dom json mbstring sqlite3 xml; do
    php -m | grep -qx "$extension" || skip "php has no $extension"
done
cat >"$input/a.php" <<'END'
<?php
$state = 1;
function roll(int $n): int {
    global $state;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return ($state >> 8) % $n;
}
function word(): string {
    $word = '';
    for ($i = 1 + roll(12); $i > 0; $i--) {
        $word .= mb_chr(roll(4) ? 97 + roll(26) : 0x3b1 + roll(24));
    }
    return $word;
}
$rows = [];
for ($i = 0; $i < 20000; $i++) {
    $rows[] = ['id' => $i, 'word' => word(), 'list' => array_map('roll', array_fill(0, roll(6), 100))];
}
usort($rows, fn ($a, $b) => [$a['word'], $a['id']] <=> [$b['word'], $b['id']]);
foreach (array_chunk($rows, 500) as $chunk) {
    echo json_encode($chunk[0]), ' ', mb_strtoupper($chunk[1]['word']), "\n";
}
$text = json_encode($rows);
echo strlen($text), ' ', hash('sha256', json_encode(json_decode($text, true))), "\n";
echo preg_match_all('/[aeiou](\w)/u', $text), ' ', md5(preg_replace_callback('/\d+/', fn ($m) => $m[0] + 1, $text)), "\n";

$document = new DOMDocument();
$root = $document->appendChild($document->createElement('rows'));
foreach ($rows as $row) {
    $element = $root->appendChild($document->createElement('row', htmlspecialchars($row['word'])));
    $element->setAttribute('id', (string) $row['id']);
}
$xml = $document->saveXML();
echo strlen($xml), ' ', md5($xml), "\n";
$copy = new DOMDocument();
$copy->loadXML($xml);
$path = new DOMXPath($copy);
echo $path->query('//row[@id mod 7 = 0]')->length, ' ', md5($copy->saveXML()), "\n";
$count = 0;
$parser = xml_parser_create();
xml_set_element_handler($parser, function () use (&$count) { $count++; }, function () {});
echo xml_parse($parser, $xml, true), " $count\n";

$database = new SQLite3(':memory:');
$database->exec('create table row (id integer primary key, word text)');
$database->exec('begin');
$insert = $database->prepare('insert into row values (?, ?)');
foreach ($rows as $row) {
    $insert->bindValue(1, $row['id'], SQLITE3_INTEGER);
    $insert->bindValue(2, $row['word'], SQLITE3_TEXT);
    $insert->execute();
    $insert->reset();
}
$database->exec('commit');
$result = $database->query('select substr(word, 1, 1) as first, count(*) as n from row group by first order by first');
while ($row = $result->fetchArray(SQLITE3_ASSOC)) {
    echo $row['first'], '=', $row['n'], ' ';
}
$database->close();
unset($rows, $document, $copy);
echo "\n", gc_collect_cycles(), "\n";
try {
    (new DOMDocument())->loadXML('<broken', LIBXML_NOERROR) ?: throw new RuntimeException('broken, as it should be');
} catch (RuntimeException $e) {
    echo $e->getMessage(), "\n";
}
passthru(PHP_BINARY . ' -r ' . escapeshellarg('echo mb_strlen(str_repeat("λ", 100000)), "\n"; exit(3);'), $status);
echo $status, "\n";
END
# The second time without PHP's own allocator, which takes its memory from mmap.
work() {
    php "$input/a.php" && USE_ZEND_ALLOC=0 php "$input/a.php"
}
same
mapped php
