package dev.weir.runtime;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
  private static final String FFI = "dev.weir.runtime.internal.ffi";
  private static final String FOREIGN = "java.lang.foreign..";

  private final JavaClasses classes =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("dev.weir.runtime");

  @Test
  void onlyTheBindingTouchesForeignMemory() {
    noClasses()
        .that()
        .resideOutsideOfPackage(FFI)
        .should()
        .dependOnClassesThat()
        .resideInAPackage(FOREIGN)
        .check(classes);
  }

  @Test
  void theBindingKnowsNothingOfThePublicApi() {
    noClasses()
        .that()
        .resideInAPackage(FFI)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.weir.runtime")
        .check(classes);
  }

  /** Guards the rules above against class files that the importer cannot read. */
  @Test
  void theDependenciesOfTheBindingAreSeen() {
    assertThat(classes.get(FFI + ".NativeStep").getDirectDependenciesFromSelf())
        .anyMatch(dependency -> dependency.getTargetClass().isEquivalentTo(MemorySegment.class));
    assertThat(classes.get(Step.class).getDirectDependenciesFromSelf())
        .anyMatch(dependency -> dependency.getTargetClass().getPackageName().equals(FFI));
  }
}
