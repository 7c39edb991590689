/* For bisections of "does it boot": there is nothing to run. */
int main(void)
{
	return 0;
}
