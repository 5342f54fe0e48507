package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.weir.scheduling.Request;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class RequestQueueTest {
  private static RequestQueue.Node node(long order) {
    return new RequestQueue.Node(new Request(order, 0, 1, 1, Request.UNKNOWN), order);
  }

  @Property(tries = 200)
  void staysInOrderOfArrival(@ForAll long seed) {
    Random random = new Random(seed);
    RequestQueue queue = new RequestQueue();
    TreeMap<Long, RequestQueue.Node> expected = new TreeMap<>();
    List<RequestQueue.Node> outside = new ArrayList<>();
    long arrivals = 0;
    for (int step = 0; step < 200; step++) {
      int choice = random.nextInt(3);
      if (choice == 0) {
        RequestQueue.Node node = node(arrivals++);
        queue.append(node);
        expected.put(node.order, node);
      } else if (choice == 1 && !expected.isEmpty()) {
        RequestQueue.Node node =
            new ArrayList<>(expected.values()).get(random.nextInt(expected.size()));
        queue.remove(node);
        expected.remove(node.order);
        outside.add(node);
        assertThat(node.queue()).isNull();
      } else if (!outside.isEmpty()) {
        RequestQueue.Node node = outside.remove(random.nextInt(outside.size()));
        queue.insert(node);
        expected.put(node.order, node);
      }
      assertThat(queue.size()).isEqualTo(expected.size());
      assertThat(queue.first())
          .isSameAs(expected.isEmpty() ? null : expected.firstEntry().getValue());
    }
    List<RequestQueue.Node> drained = new ArrayList<>();
    while (queue.first() != null) {
      drained.add(queue.first());
      queue.remove(queue.first());
    }
    assertThat(drained).containsExactlyElementsOf(expected.values());
  }

  @Test
  void refusesANodeThatIsElsewhere() {
    RequestQueue queue = new RequestQueue();
    RequestQueue other = new RequestQueue();
    RequestQueue.Node node = node(0);
    queue.append(node);
    assertThatIllegalStateException().isThrownBy(() -> other.append(node));
    assertThatIllegalStateException().isThrownBy(() -> other.remove(node));
    assertThatIllegalStateException().isThrownBy(() -> queue.insert(node));
  }
}
