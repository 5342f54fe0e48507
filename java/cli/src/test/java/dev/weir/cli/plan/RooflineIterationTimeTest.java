package dev.weir.cli.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.simulation.BatchShape;
import java.io.IOException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RooflineIterationTimeTest {
  /**
   * The floors of a decode step at a mean context of 512 tokens: (13.4768 GB + batch * 512 *
   * 524,288 B) / 2.039 TB/s.
   */
  @ParameterizedTest
  @CsvSource({"1, 6.741", "8, 7.663", "64, 15.035"})
  void aDecodeStepReadsWeightsAndCache(int batch, double milliseconds) throws IOException {
    BatchShape shape = new BatchShape();
    for (int i = 0; i < batch; i++) {
      shape.addDecode(512);
    }
    assertThat(time(1).seconds(shape)).isCloseTo(milliseconds / 1e3, within(1e-6));
    assertThat(time(0.5).seconds(shape)).isCloseTo(milliseconds / 500, within(2e-6));
  }

  /** 2 * 6.7384e9 * 1024 / 312e12 s = 44.23 ms, longer than the weights take to read. */
  @ParameterizedTest
  @CsvSource("1024, 44.494")
  void aLongPromptIsBoundByArithmetic(int tokens, double milliseconds) throws IOException {
    BatchShape shape = new BatchShape();
    shape.addPrefill(tokens, 0);
    // And 1024 * 524,288 / 2.039e12 s = 0.263 ms for what it leaves in the cache.
    assertThat(time(1).seconds(shape)).isCloseTo(milliseconds / 1e3, within(1e-5));
  }

  private static RooflineIterationTime time(double efficiency) throws IOException {
    ModelCard card = ModelCard.read("llama-2-7b");
    KnownDevice device = KnownDevice.A100_80GB;
    return new RooflineIterationTime(
        card.weightBytes(NumberFormat.FP16),
        card.parameters(),
        card.kvBytesPerToken(NumberFormat.FP16),
        device.bytesPerSecond(),
        device.flopsPerSecond(),
        efficiency);
  }
}
