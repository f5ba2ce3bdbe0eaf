import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('people', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Appointment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('starts_at', models.DateTimeField()),
                ('reason', models.CharField(max_length=80)),
                ('doctor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='people.doctor')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='people.patient')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('doctor', 'starts_at'), name='one_patient_at_a_time')],
            },
        ),
    ]
