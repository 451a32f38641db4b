# Threads that make objects, strings and hashes, queues between them, JSON, a forked child. Each line of input is a step.
require 'json'
require 'digest'

def rows(seed, count)
  state = seed
  roll = ->(n) { state = (state * 1103515245 + 12345) % 2147483648; (state >> 8) % n }
  (1..count).map { |i| [i, Array.new(1 + roll[10]) { (97 + roll[26]).chr }.join, Array.new(roll[6]) { roll[100] }] }
end

STEPS = {
  'threads' => lambda {
    threads = (1..6).map { |n| Thread.new { Digest::SHA256.hexdigest(rows(n, 8000).group_by { |r| r[1][0, 2] }.sort.inspect) } }
    threads.map(&:value).join(' ')
  },
  'queue' => lambda {
    queue, results = Queue.new, Queue.new
    workers = (1..4).map do
      Thread.new { while (i = queue.pop) != :end do results << [i, (i.to_s * (i % 300)).reverse.tr('1-5', 'a-e').sum] end }
    end
    10000.times { |i| queue << i }
    workers.each { queue << :end }
    workers.each(&:join)
    Digest::SHA256.hexdigest(Array.new(results.size) { results.pop }.sort.inspect)
  },
  'json' => lambda {
    text = JSON.generate(rows(9, 40000))
    Digest::SHA256.hexdigest(JSON.generate(JSON.parse(text)).gsub(/[aeiou](\w)/) { $1.upcase })
  },
  'fork' => lambda {
    read, write = IO.pipe
    pid = fork { read.close; write.puts(Digest::SHA256.hexdigest(rows(3, 8000).inspect)); write.close; exit!(5) }
    write.close
    answer = read.read.chomp
    Process.wait(pid)
    "#{answer} #{$?.exitstatus}"
  },
  'rest' => lambda { 3.times { GC.start }; 'collected' }
}
$stdout.sync = true
while (step = gets)
  puts STEPS[step.chomp].call
end
