package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.runtime.internal.ffi.NativeStatus;
import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class StatusTest {
  @Test
  void hasEveryErrorOfTheNativeLayerUnderItsName() throws IllegalAccessException {
    Map<String, Status> statuses =
        Arrays.stream(Status.values())
            .filter(status -> status != Status.LIBRARY_UNAVAILABLE)
            .collect(Collectors.toMap(Status::name, Function.identity()));
    for (Field field : NativeStatus.class.getFields()) {
      if (field.getInt(null) != NativeStatus.OK) {
        assertThat(statuses).containsKey(field.getName());
        assertThat(statuses.remove(field.getName()).code()).isEqualTo(field.getInt(null));
      }
    }
    assertThat(statuses).isEmpty();
  }
}
