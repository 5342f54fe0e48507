package dev.weir.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.weir.simulation.experiment.Estimate;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Goal;
import dev.weir.simulation.experiment.Plot;
import dev.weir.simulation.experiment.Plot.Axis;
import dev.weir.simulation.experiment.Plot.Marker;
import dev.weir.simulation.experiment.Plot.Orientation;
import dev.weir.simulation.experiment.Plot.Point;
import dev.weir.simulation.experiment.Plot.Series;
import dev.weir.simulation.experiment.Plot.Style;
import dev.weir.simulation.experiment.Setting;
import dev.weir.simulation.experiment.Table;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExperimentReportTest {
  private static final ExperimentResult RESULT =
      new ExperimentResult(
          "trial",
          "A trial",
          List.of("Is it so?"),
          List.of("It is </script> so."),
          List.of(new Setting("seeds", "1 to 2")),
          List.of(
              Table.titled("rates", "Rates")
                  .note("A note.")
                  .column("policy")
                  .column("rate", "requests/s")
                  .column("count")
                  .row("fcfs", Estimate.of(3.0, 5.0), 12_345)
                  .row("weir, \"ours\"", Estimate.exactly(0.000123), 0L)
                  .row("none", Double.NaN, 7)
                  .build(),
              Table.titled("all", "Everything").detail().column("x").row(1.5).build()),
          List.of(
              new Plot(
                  "curve",
                  "A curve",
                  "",
                  Axis.linear("load"),
                  Axis.logarithmic("seconds"),
                  List.of(
                      new Series(
                          "fcfs",
                          Style.LINE,
                          List.of(Point.of(1, Estimate.of(1.0, 3.0)), Point.of(2, Double.NaN)))),
                  List.of(new Marker(Orientation.VERTICAL, 1.5, "mu")))),
          List.of(
              Goal.atLeast("fast", 99, Estimate.of(99.5, 99.7), "%", "worst case"),
              Goal.atMost("small", 0.5, Estimate.exactly(0.7), "", "")));

  @TempDir Path folder;

  @Test
  void textHasTablesFindingsAndGoals() {
    String text = ExperimentText.render(RESULT);
    assertThat(text)
        .contains("trial: A trial")
        .containsPattern("policy +\\| +rate, requests/s \\| +count")
        .containsPattern("fcfs +\\| +4 ± 13 \\| 12,345")
        .containsPattern("ours\" +\\| +1.23e-04 \\| +0")
        .containsPattern("none +\\| +- \\| +7")
        .contains("A note.")
        .contains("It is </script> so.")
        .containsPattern("met +\\| fast +\\| at least 99.0 % +\\| 99.6 ± 1.3 % \\(worst case\\)")
        .containsPattern("MISSED +\\| small +\\| at most 0.500 +\\| 0.700 ")
        .doesNotContain("Everything");
  }

  @Test
  void anIntervalHasTheDigitsThatItsHalfWidthDeserves() {
    assertThat(ExperimentText.interval(new Estimate(99.6, 1.27, 2))).isEqualTo("99.6 ± 1.3");
    assertThat(ExperimentText.interval(new Estimate(4e-6, 9e-6, 2)))
        .isEqualTo("4.00e-06 ± 9.0e-06");
    assertThat(ExperimentText.interval(new Estimate(0, 2e-5, 2))).isEqualTo("0.000000 ± 0.000020");
    // Rounding errors of equal observations.
    assertThat(ExperimentText.interval(new Estimate(100, 1.8e-12, 2))).isEqualTo("100");
  }

  @Test
  void csvHasAllDigitsAndHalfWidthsInColumnsOfTheirOwn() throws Exception {
    List<Path> files = ExperimentCsv.write(folder, RESULT);
    assertThat(files)
        .extracting(file -> file.getFileName().toString())
        .containsExactly(
            "trial-rates.csv", "trial-all.csv", "trial-plot-curve.csv", "trial-settings.csv");
    List<String> rates = Files.readAllLines(files.getFirst());
    assertThat(rates.getFirst())
        .isEqualTo("policy,\"rate, requests/s\",\"rate, requests/s ci95\",count");
    // 12.7062 is the 97.5 % quantile of t with one degree of freedom, times 1.
    assertThat(rates.get(1)).startsWith("fcfs,4.0,12.706").endsWith(",12345");
    assertThat(rates.subList(2, 4))
        .containsExactly("\"weir, \"\"ours\"\"\",1.23E-4,,0", "none,,,7");
    assertThat(Files.readAllLines(files.get(2)).getLast()).isEqualTo("fcfs,2.0,,");
    assertThat(Files.readAllLines(files.get(3))).containsExactly("setting,value", "seeds,1 to 2");

    Path goals = folder.resolve("goals.csv");
    ExperimentCsv.writeGoals(goals, List.of(RESULT));
    assertThat(Files.readAllLines(goals).getLast())
        .isEqualTo("trial,small,at most,0.5,0.7,,,false,");
  }

  @Test
  void pageHoldsTheDataAndNothingFromOutside() throws Exception {
    String page = ExperimentPage.render(List.of(RESULT), List.of(new Fact("scale", "1.0")));
    assertThat(page).doesNotContain("/*DATA*/", "/*CHART*/", "/*PAGE*/", "/*STYLE*/");
    assertThat(page).doesNotContain("src=\"http", "href=\"http", "sourceMappingURL");
    Matcher data =
        Pattern.compile(
                "<script type=\"application/json\" id=\"data\">(.*?)</script>", Pattern.DOTALL)
            .matcher(page);
    assertThat(data.find()).isTrue();
    JsonNode json = new ObjectMapper().readTree(data.group(1));
    assertThat(json.get("lead").asText()).contains("1 of 2 goals met");
    JsonNode experiment = json.at("/experiments/0");
    assertThat(experiment.at("/findings/0").asText()).isEqualTo("It is </script> so.");
    assertThat(experiment.at("/tables/0/rows/0/1").asText()).isEqualTo("4 ± 13");
    assertThat(experiment.at("/tables/1/detail").asBoolean()).isTrue();
    assertThat(experiment.at("/plots/0/y/logarithmic").asBoolean()).isTrue();
    assertThat(experiment.at("/plots/0/series/0/points/1/1").isNull()).isTrue();
    assertThat(experiment.at("/plots/0/markers/0/vertical").asBoolean()).isTrue();
    assertThat(json.at("/goals/1/met").asBoolean()).isFalse();
  }
}
