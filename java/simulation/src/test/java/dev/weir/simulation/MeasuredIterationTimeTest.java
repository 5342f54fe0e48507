package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import dev.weir.scheduling.IterationCost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MeasuredIterationTimeTest {
  private static final String GOOD =
      """
      {"format": "weir-iteration-time-1", "device": "d", "model": "m", "tokens": [2, 10, 20],
       "seconds": [0.1, 0.5, 0.7], "secondsPerDecodeContextToken": 0.001,
       "secondsPerPrefillPair": 0.01}
      """;

  @TempDir Path folder;

  private IterationTime read(String content) throws IOException {
    Path file = Files.writeString(folder.resolve("time.json"), content);
    return IterationTimes.parse("measured:" + file);
  }

  @ParameterizedTest
  @CsvSource({
    // One token, before the first point; context 5.
    "D1x5, 0.105",
    // Between the points: 0.1 + 2/8 * 0.4, context 4 * 3.
    "D4x3, 0.212",
    // Beyond the last point, 0.02 a token.
    "D30x1, 0.93",
    // Three tokens after four: pairs 5 + 6 + 7.
    "P1x3@4, 0.33",
    "D1x7 P1x1@0, 0.117"
  })
  void addsUpItsParts(String batch, double seconds) throws Exception {
    BatchShape shape = new BatchShape();
    BatchNotation.read(batch, shape);
    assertThat(read(GOOD).seconds(shape)).isCloseTo(seconds, offset(1e-12));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "weir-iteration-time-1 | other | format is 'other'",
        "[2, 10, 20] | [2, 10] | tokens has 2 values and seconds 3",
        "[2, 10, 20] | [2, 2, 20] | must ascend",
        "[2, 10, 20] | [0, 10, 20] | must ascend from at least 1",
        "0.7] | 0.4] | ends with a fall",
        "0.5, | -0.5, | seconds has -0.5",
        "0.001 | -1 | secondsPerDecodeContextToken is -1.0",
        "\"secondsPerPrefillPair\" | \"secondsPerPair\" | secondsPerP",
        "\"device\": \"d\", | '' | device",
        "[2, 10, 20] | null | tokens",
        "} | '' | no measured iteration time"
      })
  void refusesWhatIsWrongAndNamesIt(String from, String to, String message) {
    assertThatThrownBy(() -> read(GOOD.replace(from, to)))
        .hasMessageContaining("time.json")
        .hasMessageContaining(message);
  }

  @Test
  void aLineGoesThroughOneRequestAndAFullBatch() throws Exception {
    // 1 token: 0.1; 18: 0.66. Both with 0.001 for each of 50 tokens of context.
    IterationCost cost = IterationTimes.linearise(read(GOOD), 18, 50);
    assertThat(cost.seconds(50)).isCloseTo(0.15, offset(1e-12));
    assertThat(cost.seconds(900)).isCloseTo(1.56, offset(1e-12));
    IterationCost linear = new IterationCost(1, 2);
    assertThat(IterationTimes.linearise(IterationTimes.parse("linear:1,2"), 5, 5))
        .isEqualTo(linear);
  }

  @Test
  void aLineHasAFixedPartAlsoWhereAFullBatchCostsMoreThanInProportion() {
    IterationCost cost =
        IterationTimes.linearise(batch -> 1e-3 * Math.pow(batch.decodes(), 2), 10, 50);
    assertThat(cost.fixedSeconds()).isCloseTo(1e-4, offset(1e-15));
    assertThat(cost.seconds(500)).isCloseTo(0.1, offset(1e-12));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "D3 | 'D3'",
        "D0x5 | no request",
        "D3x0 | no request or no token",
        "P1x0@3 | no request or no token",
        "P2x10 | 'P2x10'",
        "D1x5,D1x6 | no group",
        "'' | no group"
      })
  void aBatchIsReadStrictly(String text, String message) {
    assertThatThrownBy(() -> BatchNotation.read(text, new BatchShape()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(message);
  }

  @Test
  void predictionsAreAnotherColumn() throws Exception {
    Path input = Files.writeString(folder.resolve("b.csv"), "id,batch\n7,D1x10\n8,D2x10 P1x5@0\n");
    Path output = folder.resolve("o.csv");
    assertThat(BatchPredictions.write(input, output, IterationTimes.parse("linear:1,0.5")))
        .isEqualTo(2);
    assertThat(output)
        .hasContent("id,batch,predicted_ms\n7,D1x10,6000.000000\n8,D2x10 P1x5@0,13500.000000\n");
    Files.writeString(input, "id,batch\n7,D1x10\n8,X\n");
    assertThatThrownBy(
            () -> BatchPredictions.write(input, output, IterationTimes.parse("linear:1,0.5")))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("line 3")
        .hasMessageContaining("'X'");
    Files.writeString(input, "id\n7\n");
    assertThatThrownBy(
            () -> BatchPredictions.write(input, output, IterationTimes.parse("linear:1,0.5")))
        .hasMessageContaining("no column 'batch'");
  }
}
