import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Report {
  record Row(String name, String team, int score) {}

  static int total(List<Row> rows) {
    return rows.stream().mapToInt(Row::score).sum();
  }

  static long squares(long part) {
    long sum = 0;
    for (long i = part; i <= 10_000; i += 4) sum += i * i;
    return sum;
  }

  static long allSquares() throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Callable<Long>> parts = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      final long part = i;
      parts.add(() -> squares(part));
    }
    long sum = 0;
    for (Future<Long> part : pool.invokeAll(parts)) sum += part.get();
    pool.shutdown();
    return sum;
  }

  public static void main(String[] args) throws Exception {
    byte[] bytes = Files.readAllBytes(Path.of("data.csv"));
    List<Row> rows = new String(bytes, StandardCharsets.UTF_8).lines().skip(1)
        .map(line -> line.split(","))
        .map(fields -> new Row(fields[0], fields[1], Integer.parseInt(fields[2])))
        .toList();
    Map<String, List<Row>> teams = rows.stream().collect(Collectors.groupingBy(Row::team));
    List<String> lines = new ArrayList<>();
    teams.entrySet().stream()
        .sorted(Comparator.comparingInt(entry -> -total(entry.getValue())))
        .forEach(entry -> lines.add(entry.getKey() + " " + entry.getValue().size() + " "
            + total(entry.getValue()) + " "
            + entry.getValue().stream().max(Comparator.comparingInt(Row::score)).get().name()));
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
    lines.add("sha256 " + HexFormat.of().formatHex(digest));
    lines.add("squares " + allSquares());
    Pattern wanted = Pattern.compile("^[A-M].*");
    lines.add("names " + rows.stream().map(Row::name).filter(wanted.asMatchPredicate())
        .collect(Collectors.joining(",")));
    lines.add("args " + String.join("|", args));
    Files.writeString(Path.of("/output/result.txt"), String.join("\n", lines) + "\n");
    System.out.println("done " + new String(System.in.readAllBytes()).trim());
  }
}
