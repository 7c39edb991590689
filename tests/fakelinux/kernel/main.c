#include "value.h"
int value = VALUE;
int main(void) { return value; }
