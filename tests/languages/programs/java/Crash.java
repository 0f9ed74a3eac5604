import java.util.List;

public class Crash {
  public static void main(String[] args) {
    System.out.println(List.of(1, 2, 3).get(7));
  }
}
