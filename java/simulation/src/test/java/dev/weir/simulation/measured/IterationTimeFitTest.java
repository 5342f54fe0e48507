package dev.weir.simulation.measured;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.simulation.BatchGroup;
import dev.weir.simulation.BatchNotation;
import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.ProfileIterationTime;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IterationTimeFitTest {
  private static final BatchDesign.Limits LIMITS =
      new BatchDesign.Limits(256, 2048, 4096, 20_000, 16, 2);

  @TempDir Path folder;

  /**
   * A device as the roofline has it: weights are read once, then arithmetic grows with tokens; keys
   * and values are read for each token of context; a prefilled token looks at each before it.
   */
  private static double roofline(BatchShape batch) {
    return Math.max(9e-3, 9e-3 * batch.tokens() / 256)
        + 1.3e-7 * batch.decodeContext()
        + 2e-9 * batch.prefillPairs();
  }

  private static List<BatchSample> measure(BatchDesign design, IterationTime device) {
    List<BatchSample> samples = new ArrayList<>();
    design.fitted().forEach(batch -> samples.add(sample(batch, false, device)));
    design.heldOut().forEach(batch -> samples.add(sample(batch, true, device)));
    return samples;
  }

  private static BatchSample sample(List<BatchGroup> batch, boolean heldOut, IterationTime device) {
    double seconds = device.seconds(BatchNotation.shape(batch));
    return new BatchSample(batch, heldOut, List.of(seconds, seconds, seconds));
  }

  @Test
  void aLawOfTheModelsFormIsRecovered() {
    BatchDesign design = BatchDesign.of(LIMITS, 20, 7);
    IterationTimeFit fit =
        IterationTimeFit.of("d", "m", measure(design, IterationTimeFitTest::roofline));
    assertThat(fit.time().secondsPerDecodeContextToken()).isCloseTo(1.3e-7, withPercentage(0.01));
    assertThat(fit.time().secondsPerPrefillPair()).isCloseTo(2e-9, withPercentage(0.01));
    // 256 tokens is a size of the design, so the bend of the roof is a knot.
    for (String batch : List.of("D1x1", "D37x900", "P1x700@300", "D128x512 P1x512@0", "D1x4096")) {
      BatchShape shape = BatchNotation.shape(BatchNotation.parse(batch));
      assertThat(fit.time().seconds(shape))
          .as(batch)
          .isCloseTo(roofline(shape), withPercentage(0.01));
    }
    for (Region region : Region.values()) {
      assertThat(fit.fitted().get(region).worst()).isLessThan(1e-6);
      assertThat(fit.heldOut().get(region).worst()).isLessThan(1e-6);
      assertThat(fit.heldOut().get(region).batches()).isEqualTo(20);
    }
  }

  @Test
  void aDisturbedMachineIsSeenThroughItsMedians() {
    SplittableRandom random = new SplittableRandom(3);
    BatchDesign design = BatchDesign.of(LIMITS, 20, 7);
    List<BatchSample> samples =
        measure(design, IterationTimeFitTest::roofline).stream()
            .map(
                sample -> {
                  List<Double> disturbed = new ArrayList<>();
                  for (int i = 0; i < 9; i++) {
                    // 1 % of noise, and every fifth time something else runs.
                    double factor = 1 + random.nextDouble(-0.01, 0.01);
                    factor *= random.nextInt(5) == 0 ? random.nextDouble(1, 5) : 1;
                    disturbed.add(sample.median() * factor);
                  }
                  return new BatchSample(sample.groups(), sample.heldOut(), disturbed);
                })
            .toList();
    IterationTimeFit fit = IterationTimeFit.of("d", "m", samples);
    assertThat(fit.time().secondsPerDecodeContextToken()).isCloseTo(1.3e-7, withPercentage(5));
    assertThat(fit.time().secondsPerPrefillPair()).isCloseTo(2e-9, withPercentage(15));
    fit.heldOut().values().forEach(residual -> assertThat(residual.median()).isLessThan(0.02));
  }

  @Test
  void theResidualsOfADeviceThatIsNotOfTheModelsFormAreToldAndNotHidden() {
    // Three times as slow at a context that decodes beside a prompt: no sum has that.
    IterationTime device =
        batch -> (batch.prefills() > 0 && batch.decodes() > 0 ? 3 : 1) * roofline(batch);
    IterationTimeFit fit =
        IterationTimeFit.of("d", "m", measure(BatchDesign.of(LIMITS, 20, 7), device));
    IterationTimeFit.Residual mixed = fit.heldOut().get(Region.MIXED);
    assertThat(mixed.worst()).isGreaterThan(0.2);
    assertThat(mixed.bias()).isNegative();
    assertThat(mixed.worstBatch()).contains("decoding").contains("prefill");
  }

  /**
   * An independent account of a device: what Microsoft measured on an A100, operator by operator.
   */
  @Test
  void theA100OfVidurIsPredictedOnBatchesThatWereNotSeen() {
    ProfileIterationTime a100 = ProfileIterationTime.a100Llama2();
    BatchDesign.Limits limits = new BatchDesign.Limits(128, 2048, 4096, 7_424, 16, 2);
    IterationTimeFit fit =
        IterationTimeFit.of("a100", "llama-2-7b", measure(BatchDesign.of(limits, 60, 1), a100));
    for (Region region : Region.values()) {
      assertThat(fit.heldOut().get(region).median()).as(region.name()).isLessThan(0.045);
      assertThat(fit.heldOut().get(region).worst()).as(region.name()).isLessThan(0.2);
    }
  }

  @Test
  void theFileHoldsWhatTheSimulatorReadsAndWhatAFitAgainNeeds() throws Exception {
    List<BatchSample> samples =
        measure(BatchDesign.of(LIMITS, 3, 7), IterationTimeFitTest::roofline);
    IterationTimeFit fit = IterationTimeFit.of("a device", "a model", samples);
    Measurement measurement =
        new Measurement(
            "1.0",
            "2026-11-20T18:00:00Z",
            Map.of("precision", "bf16"),
            Map.of("layers", 32),
            Map.of("seed", 7),
            0.01,
            samples);
    Path file = folder.resolve("deep/measured.json");
    MeasurementFile.write(file, fit, measurement);

    IterationTime read = IterationTimes.parse("measured:" + file);
    assertThat(read).hasToString("a model on a device");
    for (BatchSample sample : samples) {
      assertThat(read.seconds(sample.shape())).isEqualTo(fit.time().seconds(sample.shape()));
    }
    assertThat(MeasurementFile.read(file)).isEqualTo(measurement);
    IterationTimeFit again =
        IterationTimeFit.of("a device", "a model", MeasurementFile.read(file).samples());
    assertThat(again.time().secondsAtTokens()).isEqualTo(fit.time().secondsAtTokens());
    assertThat(again.heldOut()).isEqualTo(fit.heldOut());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"batch\" : \"D1x16\" | \"batch\" : \"X1x16\" | 'X1x16' is no group",
        "\"seconds\" : [ 0.00900 | \"seconds\" : [ -0.00900 | has a time of -0.0090",
        "\"seconds\" : [ 0.00900 | \"secs\" : [ 0.00900 | 'seconds'",
        "\"profile\" | \"profil\" | no field 'profile'",
        "\"drift\" : 0.0, | '' | drift"
      })
  void aDamagedMeasurementIsRefusedByName(String from, String to, String message) throws Exception {
    List<BatchSample> samples =
        List.of(sample(BatchNotation.parse("D1x16"), false, IterationTimeFitTest::roofline));
    Path file = folder.resolve("measured.json");
    MeasurementFile.write(
        file,
        IterationTimeFit.of("d", "m", samples),
        new Measurement("1", "now", Map.of(), Map.of(), Map.of(), 0, samples));
    String content = Files.readString(file);
    int profile = content.indexOf("\"profile\"");
    assertThat(content.substring(profile)).contains(from);
    Files.writeString(
        file, content.substring(0, profile) + content.substring(profile).replace(from, to));
    assertThatThrownBy(() -> MeasurementFile.read(file))
        .hasMessageContaining("measured.json")
        .hasMessageContaining(message);
  }

  @Test
  void thereMustBeSomethingToFit() {
    List<BatchSample> heldOut =
        List.of(sample(BatchNotation.parse("D1x16"), true, IterationTimeFitTest::roofline));
    assertThatThrownBy(() -> IterationTimeFit.of("d", "m", heldOut))
        .hasMessageContaining("no batch to fit");
    assertThatThrownBy(() -> new BatchSample(BatchNotation.parse("D1x16"), false, List.of(0.0)))
        .hasMessageContaining("D1x16 has a time of 0.0");
  }

  @ParameterizedTest
  @CsvSource({
    "256, 2048, 4096, 20000, 16, 2",
    "256, 2048, 512, 8193, 16, 2",
    "1, 1, 2, 1, 16, 2",
    "4, 8, 100, 3, 7, 4",
    "1, 2048, 4096, 300, 16, 2",
    "1000, 100, 64, 64, 1, 3"
  })
  void everyBatchOfADesignIsWithinItsLimits(
      int sequences, int tokens, int context, long blocks, int blockSize, int factor) {
    BatchDesign.Limits limits =
        new BatchDesign.Limits(sequences, tokens, context, blocks, blockSize, factor);
    BatchDesign design = BatchDesign.of(limits, 10, 1);
    assertThat(design.fitted()).isNotEmpty().doesNotHaveDuplicates();
    assertThat(design.heldOut()).isNotEmpty();
    List<List<BatchGroup>> all = new ArrayList<>(design.fitted());
    all.addAll(design.heldOut());
    for (List<BatchGroup> batch : all) {
      int requests = batch.stream().mapToInt(BatchGroup::requests).sum();
      long needed = 0;
      for (BatchGroup group : batch) {
        int after = group.decodes() ? group.tokens() : group.tokens() + group.cached();
        assertThat(after).isLessThanOrEqualTo(context);
        needed += group.requests() * (long) ((after + blockSize - 1) / blockSize);
      }
      assertThat(requests).isLessThanOrEqualTo(sequences);
      assertThat(BatchNotation.shape(batch).tokens()).isLessThanOrEqualTo(tokens);
      assertThat(needed).isLessThanOrEqualTo(blocks);
    }
    assertThat(BatchDesign.of(limits, 10, 1)).isEqualTo(design);
  }
}
