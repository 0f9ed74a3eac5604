require "csv"
require "digest"
require "json"

rows = CSV.read("data.csv", headers: true, encoding: "UTF-8")
teams = rows.group_by { |row| row["team"] }
totals = teams.transform_values { |members| members.sum { |row| row["score"].to_i } }
squares = (0..3).map { |part|
  Thread.new { part.step(10_000, 4).sum { |i| i * i } }
}.sum(&:value)

lines = totals.sort_by { |_, total| -total }.map { |team, total|
  best = teams[team].max_by { |row| row["score"].to_i }
  "#{team} #{teams[team].size} #{total} #{best["name"]}"
}
lines << "sha256 #{Digest::SHA256.file("data.csv").hexdigest}"
lines << "squares #{squares}"
lines << "names #{rows.map { |row| row["name"] }.grep(/\A[A-M]/).join(",")}"
lines << "json #{JSON.generate(totals.sort.to_h)}"
lines << "args #{ARGV.join("|")}"
File.write("/output/result.txt", lines.join("\n") + "\n")
puts "done #{$stdin.read.strip}"
