package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.weir.simulation.measured.BatchSample;
import dev.weir.simulation.measured.Measurement;
import dev.weir.simulation.measured.MeasurementFile;
import dev.weir.simulation.measured.Region;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProfileCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private CommandRun profile(String... args) {
    List<String> all =
        new ArrayList<>(List.of("profile", "--model", CommandRun.MODEL, "--no-progress"));
    all.addAll(List.of(args));
    return CommandRun.of(all.toArray(String[]::new));
  }

  @Test
  void theSimulatorAndThePlannerReadWhatWasMeasuredHere() throws Exception {
    Path file = folder.resolve("deep/cpu.json");
    Path page = folder.resolve("cpu.html");
    CommandRun run =
        profile(
            "--quick",
            "--max-sequences",
            "16",
            "--max-batch-tokens",
            "128",
            "--max-context",
            "96",
            "--precision",
            "fp32",
            "--out",
            file.toString(),
            "--html",
            page.toString());
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .contains("Measured against fitted", "Errors of the fit", "held out", "ns a pair")
        .contains("measured: " + file, "page: " + page);
    assertThat(Files.readString(page))
        .contains("Predicted against measured", "batches were measured");

    JsonNode json = JSON.readTree(file.toFile());
    assertThat(json.get("model").asText()).isEqualTo("stories260K");
    assertThat(json.get("device").asText()).startsWith("cpu: ").contains("fp32");
    assertThat(json.at("/profile/device/precision").asText()).isEqualTo("fp32");
    assertThat(json.at("/profile/model/layers").asInt()).isEqualTo(5);
    assertThat(json.at("/profile/settings/longestContext").asInt()).isEqualTo(96);
    Measurement measurement = MeasurementFile.read(file);
    for (Region region : Region.values()) {
      assertThat(measurement.samples())
          .anyMatch(sample -> sample.region() == region && sample.heldOut())
          .anyMatch(sample -> sample.region() == region && !sample.heldOut());
    }

    // Elsewhere, without the model, the same report comes out of the file.
    String report = run.out().substring(0, run.out().indexOf("measured: "));
    CommandRun again = CommandRun.of("profile", "--from", file.toString());
    assertThat(again.err()).isEmpty();
    assertThat(again.out().strip()).isEqualTo(report.strip());

    // The held-out batches through the simulator's model, by the command that people use.
    List<BatchSample> heldOut =
        measurement.samples().stream().filter(BatchSample::heldOut).toList();
    StringBuilder batches = new StringBuilder("batch\n");
    heldOut.forEach(sample -> batches.append(sample.batch()).append('\n'));
    Path input = Files.writeString(folder.resolve("batches.csv"), batches);
    Path output = folder.resolve("predicted.csv");
    CommandRun predicted =
        CommandRun.of(
            "simulate",
            "--iteration-time",
            "measured:" + file,
            "--batches",
            input.toString(),
            "--out",
            output.toString());
    assertThat(predicted.status()).isZero();
    List<String> rows = Files.readAllLines(output);
    double[] ratios = new double[heldOut.size()];
    for (int i = 0; i < ratios.length; i++) {
      String[] fields = rows.get(i + 1).split(",");
      double seconds = Double.parseDouble(fields[fields.length - 1]) * 1e-3;
      ratios[i] = seconds / heldOut.get(i).median();
    }
    Arrays.sort(ratios);
    // The order of magnitude: tests run on machines that do other things as well.
    assertThat(ratios[ratios.length / 2]).isBetween(0.2, 5.0);

    CommandRun simulated =
        CommandRun.of(
            "simulate",
            "--iteration-time",
            "measured:" + file,
            "--requests",
            "20",
            "--blocks",
            "64",
            "--prompt-tokens",
            "uniform:4-30",
            "--output-tokens",
            "fixed:20",
            "--no-progress",
            "--json");
    assertThat(simulated.status()).isZero();
    assertThat(JSON.readTree(simulated.out()).at("/runs/0/metrics/finished").asInt()).isEqualTo(20);
    CommandRun planned =
        CommandRun.of(
            "plan",
            "--model",
            "stories260K",
            "--blocks",
            "64",
            "--iteration-time",
            "measured:" + file,
            "--prompt-tokens",
            "uniform:4-30",
            "--output-tokens",
            "fixed:20");
    assertThat(planned.status()).isZero();
    assertThat(planned.out()).contains("requests/s at most");
  }

  @Test
  void randomWeightsNeedNoFilesButTheShape() throws Exception {
    Path file = folder.resolve("measured.json");
    CommandRun run =
        profile(
            "--random-weights",
            "--layers",
            "2",
            "--quick",
            "--rounds",
            "1",
            "--max-sequences",
            "2",
            "--max-batch-tokens",
            "32",
            "--kv-blocks",
            "8",
            "--out",
            file.toString());
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    JsonNode json = JSON.readTree(file.toFile());
    assertThat(json.at("/profile/model/randomWeights").asBoolean()).isTrue();
    assertThat(json.at("/profile/model/layers").asInt()).isEqualTo(2);
    // Half of the pool is for the sequence that others are copied from.
    assertThat(json.at("/profile/settings/longestContext").asInt()).isEqualTo(64);
  }

  @Test
  void whatCannotBeWrittenIsSaidBeforeAnythingIsMeasured() {
    CommandRun run = profile("--out", folder.toString());
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("it is a folder");
    run = profile("--out", folder + "/a", "--html", folder + "/./a");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("the same file");
  }

  @Test
  void onlyAMeasurementCanBeShownAgain() throws Exception {
    Path file =
        Files.writeString(
            folder.resolve("bare.json"),
            """
            {"format": "weir-iteration-time-1", "device": "d", "model": "m", "tokens": [1],
             "seconds": [0.1], "secondsPerDecodeContextToken": 0, "secondsPerPrefillPair": 0}
            """);
    CommandRun run = CommandRun.of("profile", "--from", file.toString());
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("bare.json has no field 'profile'");
    run = CommandRun.of("profile", "--from", folder.resolve("nowhere").toString());
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("nowhere is no file");
  }

  @Test
  void aPoolForOneSequenceIsTooSmall() {
    CommandRun run = profile("--kv-blocks", "1", "--out", folder.resolve("x.json").toString());
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("the KV pool has 1 blocks", "--kv-blocks");
  }
}
