#!/bin/bash
# lua5.4: tables, strings, closures, coroutines and the collector, which gives everything to realloc and free.
. "$(dirname "$0")/common.sh"
need lua5.4
cat >"$input/a.lua" <<'END'
local state = 1
local function roll(n) state = (state * 1103515245 + 12345) % 2147483648; return (state >> 8) % n end
local words, count = {}, 0
for i = 1, 150000 do
    local parts = {}
    for k = 1, 1 + roll(6) do parts[k] = string.char(97 + roll(26)) end
    local word = table.concat(parts)
    if not words[word] then words[word] = {}; count = count + 1 end
    table.insert(words[word], i)
    if i % 30000 == 0 then collectgarbage() end
end
print(count)
local keys = {}
for word in pairs(words) do keys[#keys + 1] = word end
table.sort(keys)
for i = 1, #keys, 997 do print(keys[i], #words[keys[i]], words[keys[i]][1]) end
words = nil
collectgarbage("generational")
local function tree(depth) if depth == 0 then return {} end return {tree(depth - 1), tree(depth - 1)} end
local function size(t) return t[1] and size(t[1]) + size(t[2]) + 1 or 1 end
for depth = 4, 15 do print(depth, size(tree(depth))) end
local makers = {}
for i = 1, 500 do makers[i] = coroutine.wrap(function() local text = "" for k = 1, 40 do text = text .. i .. "," coroutine.yield(#text) end end) end
local sum = 0
for _ = 1, 40 do for i = 1, 500 do sum = sum + makers[i]() end end
print(sum)
print(#string.rep("abc", 4000000):gsub("b", "xyz"))
END
work() {
    lua5.4 "$input/a.lua"
}
same
mapped lua5.4
