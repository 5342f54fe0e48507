package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExperimentCommandTest {
  @TempDir Path folder;

  private Path lengths() throws IOException {
    return Files.writeString(
        folder.resolve("lengths.csv"),
        """
        num_prefill_tokens,num_decode_tokens
        10,20
        0,7
        30,40
        """);
  }

  @Test
  void withoutANameItListsWhatThereIs() {
    CommandRun run = CommandRun.of("experiment");
    assertThat(run.status()).isZero();
    assertThat(run.out().lines())
        .anyMatch(line -> line.startsWith("stability "))
        .anyMatch(line -> line.startsWith("limit-cycle "))
        .anyMatch(line -> line.startsWith("nonstationary "));
    assertThat(run.err()).isEmpty();
  }

  @Test
  void writesTablesFilesAndOnePage() throws Exception {
    Path out = folder.resolve("a/b");
    String[] args = {
      "experiment",
      "limit-cycle",
      "--seeds",
      "2",
      "--scale",
      "0.01",
      "--threads",
      "2",
      "--lmsys",
      lengths().toString(),
      "--out",
      out.toString()
    };
    CommandRun run = CommandRun.of(args);
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .contains("limit-cycle: ", "Saturated, profile")
        .containsPattern("fcfs +\\| longest output")
        .contains("CSV files: " + out);
    String page = Files.readString(out.resolve("report.html"));
    assertThat(page).contains("2 rows, 1 bad rows left out", "Saturated, profile");
    try (Stream<Path> files = Files.list(out)) {
      assertThat(files.map(file -> file.getFileName().toString()).collect(Collectors.toSet()))
          .contains("limit-cycle-profile.csv", "limit-cycle-settings.csv", "goals.csv");
    }
    List<String> table = Files.readAllLines(out.resolve("limit-cycle-profile.csv"));
    assertThat(table.getFirst()).startsWith("policy,knows,\"throughput, tokens/s\"");
    CommandRun.of(args);
    assertThat(Files.readAllLines(out.resolve("limit-cycle-profile.csv"))).isEqualTo(table);
  }

  @Test
  void whatCannotBeIsRefused() throws Exception {
    assertThat(CommandRun.of("experiment", "alchemy").err()).contains("alchemy", "stability");
    assertThat(CommandRun.of("experiment", "alchemy").status()).isEqualTo(2);
    assertThat(CommandRun.of("experiment", "all", "stability").err())
        .contains("'all' stands alone");
    assertThat(CommandRun.of("experiment", "stability", "--seeds", "0").err())
        .contains("--seeds is 0");
    assertThat(CommandRun.of("experiment", "stability", "--scale", "-1").err())
        .contains("--scale is -1");
    CommandRun missing =
        CommandRun.of(
            "experiment", "stability", "--lmsys", folder.resolve("nowhere.csv").toString());
    assertThat(missing.status()).isEqualTo(1);
    for (String page : new String[] {"/", folder.toString()}) {
      CommandRun unwritable =
          CommandRun.of(
              "experiment",
              "stability",
              "--lmsys",
              lengths().toString(),
              "--out",
              folder.resolve("out").toString(),
              "--html",
              page);
      assertThat(unwritable.status()).isEqualTo(1);
      assertThat(unwritable.err()).contains("cannot write " + page + ": it is a folder");
      assertThat(unwritable.out()).isEmpty();
    }
    assertThat(missing.err()).contains("nowhere.csv");
  }
}
