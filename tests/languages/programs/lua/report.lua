local count, total, best, names = {}, {}, {}, {}
local bytes = assert(io.open("data.csv", "rb")):read("a")
local first = true
for line in bytes:gmatch("[^\n]+") do
  local name, team, score = line:match("^([^,]+),([^,]+),(%d+)$")
  if not first then
    score = math.tointeger(tonumber(score))
    count[team] = (count[team] or 0) + 1
    total[team] = (total[team] or 0) + score
    if not best[team] or score > best[team][1] then best[team] = {score, name} end
    if name:match("^[A-M]") then names[#names + 1] = name end
  end
  first = false
end

local function fnv1a(text)
  local hash = 0xcbf29ce484222325
  for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
  return string.format("%016x", hash)
end

local squares = 0
local parts = {}
for part = 0, 3 do
  parts[#parts + 1] = coroutine.create(function()
    for i = part, 10000, 4 do coroutine.yield(i * i) end
  end)
end
while #parts > 0 do
  for i = #parts, 1, -1 do
    local ok, value = coroutine.resume(parts[i])
    assert(ok, value)
    if value then squares = squares + value else table.remove(parts, i) end
  end
end

local teams = {}
for team in pairs(total) do teams[#teams + 1] = team end
table.sort(teams, function(a, b) return total[a] > total[b] end)
local out = assert(io.open("/output/result.txt", "w"))
for _, team in ipairs(teams) do
  out:write(team, " ", count[team], " ", total[team], " ", best[team][2], "\n")
end
out:write("fnv1a ", fnv1a(bytes), "\nsquares ", squares, "\nnames ", table.concat(names, ","), "\n")
out:write("args ", table.concat(arg, "|"), "\n")
assert(out:close())
print("done " .. (io.read("l") or ""))
