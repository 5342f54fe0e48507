package dev.weir.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class FormatTest {
  @Test
  void numbersHaveAboutThreeDigits() {
    assertThat(Format.number(12345.6)).isEqualTo("12,346");
    assertThat(Format.number(99.95)).isEqualTo("100.0");
    assertThat(Format.number(1.234)).isEqualTo("1.23");
    assertThat(Format.number(Double.NaN)).isEqualTo("-");
    assertThat(Format.milliseconds(0.01234)).isEqualTo("12.3");
    assertThat(Format.percent(0.1234)).isEqualTo("12.3 %");
    assertThat(Format.percent(Double.NaN)).isEqualTo("-");
  }

  @Test
  void bytesHaveABinaryUnit() {
    assertThat(Format.bytes(1023)).isEqualTo("1023 B");
    assertThat(Format.bytes(1 << 20)).isEqualTo("1.00 MiB");
    assertThat(Format.bytes(Long.MAX_VALUE)).isEqualTo("8,192 PiB");
  }
}
