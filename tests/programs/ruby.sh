#!/bin/bash
# ruby: objects, strings, hashes, threads and a forked child.
. "$(dirname "$0")/common.sh"
need ruby
cat >"$input/a.rb" <<'END'
require 'json'
require 'digest'
state = 1
roll = ->(n) { state = (state * 1103515245 + 12345) % 2147483648; (state >> 8) % n }
Row = Struct.new(:id, :word, :list)
rows = (1..60000).map { |i| Row.new(i, Array.new(1 + roll[10]) { (97 + roll[26]).chr }.join, Array.new(roll[6]) { roll[100] }) }
count = rows.group_by { |row| row.word[0, 2] }.transform_values(&:size)
puts count.sort.first(40).inspect
puts rows.sort_by { |row| [row.word, row.id] }.each_slice(600).map { |slice| slice.first.to_a.inspect }
text = JSON.generate(rows.map(&:to_h))
puts text.size, Digest::SHA256.hexdigest(JSON.generate(JSON.parse(text)))
puts text.gsub(/[aeiou](\w)/) { $1.upcase }.scan(/[A-Z]+/).size
totals = (0..7).map { |n| Thread.new { (1..3000).map { |i| (i * n).to_s * 3 }.sum(&:size) } }.map(&:value)
puts totals.inspect
rows = nil
GC.start
GC.compact if GC.respond_to?(:compact) rescue nil
read, write = IO.pipe
pid = fork { read.close; write.puts((1..20000).map(&:to_s).join.size); write.close; exit!(5) }
write.close
puts read.read
Process.wait(pid)
puts $?.exitstatus
END
work() {
    ruby --disable=gems "$input/a.rb"
}
same
mapped ruby
