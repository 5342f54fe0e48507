package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ByteCountTest {
  private final ByteCount bytes = new ByteCount();

  @Test
  void readsUnits() {
    assertThat(bytes.convert("65536")).isEqualTo(65_536);
    assertThat(bytes.convert("3k")).isEqualTo(3_072);
    assertThat(bytes.convert("512M")).isEqualTo(512L << 20);
    assertThat(bytes.convert("2GiB")).isEqualTo(2L << 30);
    assertThat(bytes.convert("1TB")).isEqualTo(1L << 40);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "M", "-1", "1.5G", "1 G", "9999999999999999999", "99999999T"})
  void refusesTheRest(String text) {
    assertThatThrownBy(() -> bytes.convert(text)).isInstanceOf(TypeConversionException.class);
  }
}
