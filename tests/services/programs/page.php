<?php
// A page of a site: text in several bytes, arrays sorted, JSON, regular expressions, XML, SQLite. The path, or the argument, is the seed.
$state = (int) ($argv[1] ?? substr($_SERVER['REQUEST_URI'], 1));
function roll(int $n): int {
    global $state;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return ($state >> 8) % $n;
}
$rows = [];
for ($i = 0; $i < 1500; $i++) {
    $word = '';
    for ($j = 1 + roll(12); $j > 0; $j--) {
        $word .= mb_chr(roll(4) ? 97 + roll(26) : 0x3b1 + roll(24));
    }
    $rows[] = ['id' => $i, 'word' => $word, 'list' => array_map('roll', array_fill(0, roll(6), 100))];
}
usort($rows, fn ($a, $b) => [$a['word'], $a['id']] <=> [$b['word'], $b['id']]);
$text = json_encode($rows);
echo hash('sha256', json_encode(json_decode($text, true))), ' ', preg_match_all('/[aeiou](\w)/u', $text), ' ';
$document = new DOMDocument();
$root = $document->appendChild($document->createElement('rows'));
foreach ($rows as $row) {
    $root->appendChild($document->createElement('row', $row['word']))->setAttribute('id', (string) $row['id']);
}
$copy = new DOMDocument();
$copy->loadXML($document->saveXML());
echo (new DOMXPath($copy))->query('//row[@id mod 7 = 0]')->length, ' ', md5($copy->saveXML()), ' ';
$database = new SQLite3(':memory:');
$database->exec('create table row (id integer primary key, word text); begin');
$insert = $database->prepare('insert into row values (?, ?)');
foreach ($rows as $row) {
    $insert->bindValue(1, $row['id'], SQLITE3_INTEGER);
    $insert->bindValue(2, $row['word'], SQLITE3_TEXT);
    $insert->execute();
    $insert->reset();
}
echo md5($database->querySingle('select group_concat(word) from (select word from row order by word desc)'));
