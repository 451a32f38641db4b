#!/bin/bash
# perl: strings, hashes, sorting, closures, regular expressions and a forked child.
. "$(dirname "$0")/common.sh"
need perl
cat >"$input/a.pl" <<'END'
use strict;
use warnings;
my ($state, %count, @rows) = (1);
sub roll { $state = ($state * 1103515245 + 12345) % 2147483648; return ($state >> 8) % $_[0] }
for my $i (1 .. 60000) {
    my $word = join '', map { chr(97 + roll(26)) } 1 .. 1 + roll(12);
    $count{$word}++;
    push @rows, { id => $i, word => $word, list => [map { roll(100) } 0 .. roll(6)] };
}
print scalar(keys %count), " words\n";
my @top = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 19];
print "$_ $count{$_}\n" for @top;
@rows = sort { $a->{word} cmp $b->{word} || $a->{id} <=> $b->{id} } @rows;
print "$rows[$_]{id} $rows[$_]{word} @{$rows[$_]{list}}\n" for map { $_ * 599 } 0 .. 99;
my $text = join ' ', map { $_->{word} } @rows;
(my $copy = $text) =~ s/([aeiou])(\w)/$2$1/g;
my $vowels = () = $copy =~ /[aeiou]+/g;
print length($copy), " $vowels\n";
my $adders = [map { my $n = $_; sub { $n += $_[0] } } 1 .. 2000];
my $sum = 0;
$sum += $_->(roll(10)) for @$adders, @$adders;
print "$sum\n";
splice @rows, roll(scalar @rows), 50 while @rows > 1000;
$text .= 'x' x 100000 for 1 .. 30;
print length($text), "\n";
$| = 1;
my $pid = open(my $child, '-|') // die;
if (!$pid) { print "child: ", scalar(keys %count), "\n"; exit 3 }
print <$child>;
close $child;
print "status ", $? >> 8, "\n";
END
work() {
    perl "$input/a.pl"
}
same
mapped perl
