package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProfileIterationTimeTest {
  private static final ProfileIterationTime PROFILE = ProfileIterationTime.a100Llama2();

  private static double milliseconds(String batch) {
    BatchShape shape = new BatchShape();
    BatchNotation.read(batch, shape);
    return 1e3 * PROFILE.seconds(shape);
  }

  @ParameterizedTest
  @CsvSource({"batches.csv, 3000", "calibration_grid.csv, 1626"})
  void givesWhatVidurGives(String file, int count) throws Exception {
    List<NamedCsvRecord> rows = Golden.rows(file);
    assertThat(rows).hasSize(count);
    for (NamedCsvRecord row : rows) {
      String batch = row.getField("batch");
      assertThat(milliseconds(batch))
          .as(batch)
          .isCloseTo(Double.parseDouble(row.getField("iteration_ms")), offset(1e-5));
    }
  }

  @Test
  void goesOnBeyondItsTables() {
    // Twice the last row of the operators, and nothing else grows with idle context.
    double operators = milliseconds("P1x4096@0") - 32 * 2.712516;
    assertThat(milliseconds("P2x4096@0"))
        .isCloseTo(2 * operators + 32 * 2.712516 * 2, withPercentage(0.1));
    double d = milliseconds("D129x4096");
    assertThat(milliseconds("D129x8192") - d).isCloseTo(32 * 4.20894, withPercentage(0.1));
    assertThat(milliseconds("D129x40960")).isGreaterThan(milliseconds("D129x8192"));
  }
}
