package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class JsonTest {
  private record Numbers(float first, Float second, double third, Double fourth) {}

  @Test
  void aNumberThatDoesNotExistIsNull() {
    assertThat(
            Json.line(
                new Numbers(
                    Float.NaN, Float.POSITIVE_INFINITY, Double.NaN, Double.NEGATIVE_INFINITY)))
        .isEqualTo("{\"first\":null,\"second\":null,\"third\":null,\"fourth\":null}");
    assertThat(Json.line(new Numbers(-0.5f, 2f, 0.25, 3.0)))
        .isEqualTo("{\"first\":-0.5,\"second\":2.0,\"third\":0.25,\"fourth\":3.0}");
  }
}
